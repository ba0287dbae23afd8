"""What every store keeps of erasures: who a person is goes, numbers of people stay, and an account goes whole."""

import json
import time
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from services.shared.errors import Retryable
from services.shared.units import DAY_MS
from services.warehouse.clickhouse.store import ClickHouseStore
from services.warehouse.domain.filters import EventFilter, PeopleFilter, SignalFilter
from services.warehouse.domain.rows import columns
from services.warehouse.ports import Store
from tests.contract.warehouse.people import (
    JO,
    KIM,
    OLD,
    SOMEBODY,
    VISITOR,
    details,
    filled,
    of_the_log,
    order,
    rows_of,
)
from tests.contract.warehouse.stored import T0, event


def test_an_erased_persons_details_go_and_the_numbers_stay(store: Store) -> None:
    filled(store)
    before = store.account_days("acme", 0)

    removed = store.erase(order(user=JO))

    assert removed["event_details"] == 2
    assert removed["people"] == 1
    assert removed["events"] == 2
    assert store.people([JO, KIM]) == {KIM: "kim@acme.com"}
    assert [each["user_id"] for each in store.details(["e1", "e2", "e3"])] == ["kim@acme.com"]
    assert store.account_days("acme", 0) == before
    assert store.traces(user=JO).rows == {}
    assert {each["user"] for each in store.events(EventFilter("acme")).rows} == {SOMEBODY, KIM}
    assert {each["user"] for each in store.account_people(PeopleFilter("acme", T0 // DAY_MS)).rows} == {SOMEBODY, KIM}
    latest = store.latest("acme")
    assert latest is not None
    assert latest["lowest_user"] == SOMEBODY
    assert store.signals(SignalFilter()).rows[0]["summary"] == f"{SOMEBODY} answered 2"


def test_what_a_person_does_after_the_erasure_is_kept(store: Store) -> None:
    filled(store)
    store.insert("events", [event(2_000, "new", user=JO)])
    store.insert("event_details", [details(2_000, JO, "jo@acme.com")])

    store.erase(order(user=JO))

    assert store.people([JO]) == {JO: "jo@acme.com"}
    assert [each["event_id"] for each in store.events(EventFilter("acme")).rows if each["user"] == JO] == ["new"]
    assert store.traces(user=JO).rows["event_details"] == 1
    active = store.account_people(PeopleFilter("acme", (T0 + 2_000) // DAY_MS)).rows
    assert {each["user"] for each in active} == {JO, KIM, SOMEBODY}


def test_what_an_account_does_after_its_erasure_is_kept(store: Store) -> None:
    filled(store)
    store.insert("events", [event(2_000, "new", user=KIM), event(2_001, "globex too", user=KIM, account="globex")])

    store.erase(order(account="acme"))

    assert [(each["events"], each["active_users"]) for each in store.account_days("acme", 0).rows] == [(1, 1)]
    people = {
        name: store.account_people(PeopleFilter(name, (T0 + 2_000) // DAY_MS)).rows for name in ("acme", "globex")
    }
    assert [each["user"] for each in people["acme"]] == [KIM]
    assert {each["user"] for each in people["globex"]} == {JO, KIM}


def test_an_erased_account_leaves_no_row_and_others_stay(store: Store) -> None:
    filled(store)

    removed = store.erase(order(account="acme"))

    assert store.traces(account="acme").rows == {}
    assert store.events(EventFilter("acme")).rows == []
    assert store.latest("acme") is None
    assert store.signals(SignalFilter()).rows == []
    assert store.people([JO, KIM]) == {JO: "jo@acme.com"}  # Jo is known from globex too
    assert len(store.events(EventFilter("globex")).rows) == 1
    assert removed["events"] == 2
    assert removed["people"] == 1


def test_erasing_again_finds_nothing(store: Store) -> None:
    filled(store)

    store.erase(order(user=JO))
    store.erase(order(account="acme"))

    assert store.erase(order(user=JO)) == {}
    assert store.erase(order(account="acme")) == {}


def test_an_erased_account_takes_along_what_its_people_did_before_it_was_known(store: Store) -> None:
    pat = "u_pat_________________"
    store.insert("events", [event(50, "e50", user=pat, account="", topic="usage-unattributed")])
    store.insert("events", [event(51, "e51", user=pat, account="zed")])
    store.insert("event_details", [details(50, pat, "pat@zed.example", account="")])
    filled(store)

    assert of_the_log(store.traces(account="zed").rows) == {"events": 2, "event_details": 1}
    removed = store.erase(order(account="zed"))

    assert of_the_log(removed) == {"events": 2, "event_details": 1, "people": 1}
    assert store.traces(user=pat).rows == {}
    assert store.traces(user=VISITOR).rows["events"] == 1


def test_an_erased_account_takes_along_what_its_people_did_before_they_signed_in(store: Store) -> None:
    """The visitor of a browser is known under another pseudonym, which is in no account."""
    pat, shared, elsewhere = "u_pat_________________", "u_shared______________", "u_elsewhere___________"
    visits = {VISITOR: "browser-1", shared: "browser-2", elsewhere: "browser-3"}
    store.insert("events", [event(60, "e60", user=pat, account="zed"), event(61, "e61", user=KIM)])
    store.insert("events", [event(62, "e62", user=elsewhere, account="globex")])
    store.insert(
        "events",
        [
            event(63 + n, f"e{63 + n}", user=each, account="", topic="usage-unattributed")
            for n, each in enumerate(visits)
        ],
    )
    store.insert(
        "event_details",
        [
            *(details(63 + n, each, "", browser, account="") for n, (each, browser) in enumerate(visits.items())),
            *(details(70 + n, pat, "pat@zed.example", browser, "zed") for n, browser in enumerate(visits.values())),
            details(80, KIM, "kim@acme.com", "browser-2"),
        ],
    )

    assert store.traces(account="zed").pseudonyms == [pat, VISITOR]
    removed = store.erase(order(account="zed"))

    assert (removed["events"], removed["event_details"]) == (2, 4)
    assert store.traces(user=VISITOR).rows == {}
    assert of_the_log(store.traces(user=shared).rows)["events"] == 1  # Kim of another account has that browser too
    assert of_the_log(store.traces(user=elsewhere).rows)["events"] == 2


@pytest.mark.parametrize(
    "given",
    [pytest.param({"user": JO}, id="person"), pytest.param({"account": "acme"}, id="account", marks=pytest.mark.long)],
)
def test_an_erasure_that_clickhouse_cuts_short_anywhere_is_done_whole_when_it_is_repeated(
    embedded_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    command, cuts, asked = (
        embedded_store._command,
        0,
        order(user=given.get("user", ""), account=given.get("account", "")),
    )
    while True:
        filled(embedded_store)
        embedded_store.insert("events", [event(5, "e5", user=KIM, account="", topic="usage-unattributed")])
        embedded_store.insert("events", [event(6, "e6", user=OLD, account="", topic="usage-unattributed")])
        embedded_store.insert("event_details", [details(6, OLD, "", "browser-2", account="")])
        left, cut = cuts, False

        def fails_after(text: str, **values: Any) -> None:
            nonlocal left, cut
            if left == 0 and not cut:
                cut = True
                raise Retryable("ClickHouse: away")
            left -= 1
            command(text, **values)

        monkeypatch.setattr(embedded_store, "_command", fails_after)
        try:
            embedded_store.erase(asked)
        except Retryable:
            embedded_store.erase(asked)
        monkeypatch.setattr(embedded_store, "_command", command)

        whom = {"user": KIM} if "account" in given else given
        assert embedded_store.traces(**given).rows == {}, cuts
        assert not {"events", "event_details", "people"} & set(embedded_store.traces(**whom).rows), cuts
        if "account" in given:
            assert embedded_store.traces(user=OLD).rows == {}, cuts
        if not cut:
            break
        cuts += 1

    assert cuts > 5


def test_a_text_that_names_a_person_is_found_after_the_events_have_expired(embedded_store: ClickHouseStore) -> None:
    filled(embedded_store)
    embedded_store._command("ALTER TABLE events DELETE WHERE 1")

    assert embedded_store.traces(user=JO).rows["signals"] == 1
    embedded_store.erase(order(user=JO))

    assert embedded_store.traces(user=JO).rows == {}
    assert embedded_store.signals(SignalFilter()).rows[0]["summary"] == f"{SOMEBODY} answered 2"


def test_events_that_are_erased_while_a_page_is_looked_for_are_not_on_it(
    embedded_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(embedded_store)
    looked_up = embedded_store._firsts

    def erased_before(*given: Any) -> Any:
        embedded_store.erase(order(account="acme"))
        return looked_up(*given)

    monkeypatch.setattr(embedded_store, "_firsts", erased_before)

    assert embedded_store.events(EventFilter("acme")).rows == []


def test_ids_with_quotes_percent_signs_and_backslashes_are_only_ids(store: Store) -> None:
    names = ["it's", "100%s", "back\\slash", "%(user)s", "' OR 1=1 --", "a\nb", "{x:String}"]
    store.insert("events", [event(n, f"e{n}", account=name) for n, name in enumerate(names)])

    for n, name in enumerate(names):
        assert of_the_log(store.traces(account=name).rows) == {"events": 1}
        assert of_the_log(store.erase(order(account=name))) == {"events": 1}
        assert store.traces(account=name).rows == {}
        assert rows_of(store).get("usage-events", 0) == len(names) - n - 1


@pytest.mark.parametrize("kind", ["embedded", "server"])
def test_an_hour_after_an_erasure_no_text_of_the_engine_says_who_was_erased(
    request: pytest.FixtureRequest, kind: str
) -> None:
    """The engine keeps the text of each mutation, on its disk, where it outlives the rows and the order."""
    erasing: ClickHouseStore = request.getfixturevalue(f"{kind}_store")
    named = f"""SELECT count() FROM system.mutations WHERE database = currentDatabase()
        AND (position(command, '{JO}') > 0 OR position(command, '\\'acme\\'') > 0)"""
    filled(erasing)
    erasing.forget_orders(0)
    erasing.erase(order(user=JO))
    erasing.erase(order(account="acme"))

    erasing.forget_orders()
    [(recent,)] = erasing._writer.query(named).result_rows
    erasing.forget_orders(0)
    [(old,)] = erasing._writer.query(named).result_rows

    assert recent > 10  # a part of before them may come back after a power cut, and has to be changed again
    assert old == 0
    assert erasing.traces(user=JO).rows == erasing.traces(account="acme").rows == {}


def test_a_server_that_does_not_let_us_forget_orders_keeps_nothing_from_going_on(
    embedded_store: ClickHouseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise DatabaseError("Code: 497. DB::Exception: Not enough privileges. (ACCESS_DENIED)")

    monkeypatch.setattr(embedded_store._writer, "command", denied)

    embedded_store.forget_orders()


def test_positions_outlive_the_rows_once_they_are_noted(store: Store) -> None:
    store.insert("events", [event(7, "e7", account="acme")])
    store.note_positions(store.positions())

    store.erase(order(account="acme"))

    assert store.positions() == {("usage-events", 0): 8}


def test_orders_are_remembered_and_once_done_stay_done(store: Store) -> None:
    recent = time.time_ns() // 1_000_000 - T0  # orders are forgotten once their topic has let them go
    one, other = order(recent, user=JO), order(recent + 1, account="acme")
    store.note_erasures([one, other])
    done = one._replace(done=True, removed={"events": 3})
    store.note_erasures([done])

    store.note_erasures([one])

    assert store.erasures() == [done, other]


def test_every_column_that_may_hold_a_person_is_known_to_these_tests() -> None:
    holding: dict[str, Any] = {
        table: {"user", "user_id", "anonymous_id", "body"} & set(columns(table))
        for table in ("events", "event_details", "account_health", "signals")
    }

    assert json.dumps({table: sorted(names) for table, names in holding.items()}) == json.dumps(
        {
            "events": ["user"],
            "event_details": ["anonymous_id", "user", "user_id"],
            "account_health": ["body"],
            "signals": ["body"],
        }
    )
