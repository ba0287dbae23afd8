"""What every store can tell of a person or an account before an erasure."""

from services.warehouse.clickhouse.store import ClickHouseStore
from services.warehouse.ports import Store
from tests.contract.warehouse.people import BEFORE, JO, KIM, OLD, OLDER, VISITOR, details, filled, order
from tests.contract.warehouse.stored import event


def test_traces_name_a_persons_browsers_and_accounts_and_count_rows(store: Store) -> None:
    filled(store)

    found = store.traces(user=JO)

    assert found.pseudonyms == [JO, VISITOR]
    assert found.accounts == ["acme", "globex"]
    assert found.rows["events"] == 3
    assert found.rows["event_details"] == 3
    assert found.rows["people"] == 1
    assert found.rows["account_health"] == found.rows["signals"] == 1
    assert store.traces(account="acme").pseudonyms == [KIM]
    assert store.traces(user="u_nobody______________").rows == {}


def test_traces_name_other_ids_of_the_person_that_an_alias_linked(store: Store) -> None:
    """Events that were sent under a former id are the person's; their details are kept under the former one."""
    filled(store)
    store.insert("events", [event(5, "e5", user=OLD, account="", topic="usage-unattributed"), event(6, "e5", user=JO)])
    store.insert("event_details", [details(5, OLD, "old@acme.com", account="")])

    assert list(store.traces(user=JO).others) == ["old@acme.com"]
    assert list(store.traces(user=OLD).others) == ["jo@acme.com"]
    assert list(store.traces(user=KIM).others) == list(store.traces(user=VISITOR).others) == []


def test_traces_of_linked_ids_are_asked_for_and_followed_step_by_step(store: Store) -> None:
    filled(store)
    store.insert("events", [event(5, "e5", user=OLD, account="", topic="usage-unattributed"), event(6, "e5", user=JO)])
    store.insert("event_details", [details(5, OLD, "old@acme.com", account="")])
    store.insert("events", [event(7, "e7", user=OLDER, account="initech"), event(8, "e7", user=OLD, account="")])
    store.insert(
        "event_details", [details(7, OLDER, "older@acme.com", "browser-3"), details(9, BEFORE, "", "browser-3")]
    )

    found = store.traces(user=JO, linked=True)

    assert list(found.linked) == ["old@acme.com", "older@acme.com"]
    assert list(found.others) == []
    assert found.pseudonyms == [JO, OLD, OLDER, *sorted([VISITOR, BEFORE])]
    assert found.accounts == ["acme", "globex", "initech"]
    assert list(store.traces(user=KIM, linked=True).linked) == []


def test_a_person_may_have_been_seen_with_hundreds_of_browsers(store: Store) -> None:
    filled(store)
    seen = [f"u_{number:020}" for number in range(300)]
    store.insert("event_details", [details(100 + number, each, "", f"b{number}") for number, each in enumerate(seen)])
    store.insert("event_details", [details(1_000 + number, JO, "jo@acme.com", f"b{number}") for number in range(300)])

    found = store.traces(user=JO)

    assert found.pseudonyms == [JO, *sorted([*seen, VISITOR])]
    assert found.rows["signals"] == 1


def test_a_part_that_was_set_aside_is_told_since_no_erasure_reaches_into_it(
    server_store: ClickHouseStore, embedded_store: ClickHouseStore
) -> None:
    for store in (server_store, embedded_store):
        filled(store)
        assert (store.traces(user=JO).set_aside, store.traces(account="acme").set_aside) == ([], [])
        (name,) = store._writer.query(
            "SELECT name FROM system.parts WHERE database = currentDatabase() AND table = 'event_details' AND active"
        ).result_rows[0]
        store._writer.command(f"ALTER TABLE event_details DETACH PART '{name}'")

        store.erase(order(user=JO))

        for traces in (store.traces(user=JO), store.traces(account="acme")):
            assert traces.set_aside == [f"event_details/{name}"]
        store._writer.command(
            f"ALTER TABLE event_details DROP DETACHED PART '{name}'", settings={"allow_drop_detached": 1}
        )
        assert store.traces(user=JO).set_aside == []
