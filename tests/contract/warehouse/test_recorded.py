"""What every store tells of what people record: losses, contacts and judgements of signals."""

import json
from typing import Any

import pytest

from services.shared.tracking_plan.values import MAX_RECORD_TEXT
from services.warehouse.clickhouse import recorded
from services.warehouse.domain.rows import Row
from services.warehouse.memory import store as memory
from services.warehouse.ports import Store
from tests.contract.warehouse.stored import T0, event


def test_the_latest_record_of_a_loss_of_each_account_is_found(store: Store) -> None:
    def lost(offset: int, account: str, date: str, **changes: Any) -> Row:
        said = f'{{"date":"{date}","reason":"price"}}'
        at = T0 + offset
        return event(
            offset, f"l{offset}", account=account, name="Account Lost", properties=said, occurred_at=at, **changes
        )

    rows = [
        lost(1, "acme", "2025-11-01"),
        lost(2, "acme", "2025-11-08"),
        lost(3, "globex", "2025-11-15"),
        lost(4, "tested", "2025-11-15", environment="staging"),
        lost(5, "staff", "2025-11-15", internal=True),
        event(6, "e6", account="active", name="Report Exported"),
    ]
    store.insert("events", rows)
    store.insert("events", rows[:2])

    found = store.losses().rows

    assert [(each["account"], each["occurred_at"]) for each in found] == [("globex", T0 + 3), ("acme", T0 + 2)]
    assert found[1].keys() == {"account", "occurred_at", "properties"}
    assert found[1]["properties"] == '{"date":"2025-11-08","reason":"price"}'


def test_a_record_of_a_loss_that_names_no_day_stands_only_where_none_of_the_account_does(store: Store) -> None:
    said = [
        ("acme", '"2025-11-01"'), ("acme", '"2025-11-08"'), ("acme", '"soon"'), ("acme", '"1969-12-31"'),
        ("globex", '"soon"'), ("initech", '"20251101T120000Z"'), ("hooli", "1761955200"),
    ]  # fmt: skip
    store.insert(
        "events",
        [
            event(n, f"l{n}", account=account, name="Account Lost", properties=f'{{"date":{date}}}', occurred_at=T0 + n)
            for n, (account, date) in enumerate(said)
        ],
    )

    assert [(each["account"], each["occurred_at"] - T0) for each in store.losses().rows] == [
        ("hooli", 6), ("initech", 5), ("globex", 4), ("acme", 1),
    ]  # fmt: skip


def test_what_is_left_out_of_what_people_recorded_is_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (recorded, memory):
        monkeypatch.setattr(module, "MOST_RECORDED", 3)
        monkeypatch.setattr(module, "MOST_LOSSES", 4)
    monkeypatch.setattr(recorded, "_LOOKED_UP", 2)

    def record(offset: int, name: str, said: dict[str, str], account: int) -> Row:
        at = T0 + offset
        return event(
            offset, f"r{offset}", account=f"a{account}", name=name, properties=json.dumps(said), occurred_at=at
        )

    rows = [record(n, "Account Lost", {"date": "2025-11-08"}, n) for n in range(6)]
    rows += [record(6 + n, "Account Lost", {"date": "soon"}, n) for n in (3, 4, 5)]
    rows += [record(20 + n, "Customer Contacted", {"author": "Kim"}, n % 5) for n in range(10)]
    rows += [record(40 + n, "Signal Judged", {"episode_id": f"e{n % 4}", "verdict": "useful"}, 0) for n in range(8)]
    store.insert("events", rows)

    lost, contacts, judged = store.losses(), store.contacts(0), store.judgements(0)

    assert ([each["account"] for each in lost.rows], lost.total) == (["a5", "a4", "a3", "a2"], 6)
    assert [json.loads(each["properties"])["date"] for each in lost.rows] == ["2025-11-08"] * 4
    assert ([each["account"] for each in contacts.rows], contacts.total) == (["a4", "a3", "a2"], 5)
    assert ([each["episode_id"] for each in judged.rows], judged.total) == (["e3", "e2", "e1"], 4)
    assert store.contacts(T0 + 29).total == 1


def test_the_last_contact_with_each_account_since_a_time_is_found(store: Store) -> None:
    def contact(offset: int, account: str, author: str, **changes: Any) -> Row:
        said = f'{{"channel":"call","author":"{author}"}}'
        at = T0 + offset
        name = "Customer Contacted"
        return event(offset, f"c{offset}", account=account, name=name, properties=said, occurred_at=at, **changes)

    rows = [
        contact(1, "hooli", "Ada"),
        contact(2, "acme", "Ada"),
        contact(3, "globex", "Kim"),
        contact(4, "acme", "Kim"),
        contact(5, "tested", "Ada", environment="staging"),
        event(6, "e6", account="active", name="Report Exported"),
    ]
    store.insert("events", rows)
    store.insert("events", rows[:4])

    found = store.contacts(T0 + 2).rows

    assert [(each["account"], each["occurred_at"]) for each in found] == [("acme", T0 + 4), ("globex", T0 + 3)]
    assert found[0] == {"account": "acme", "occurred_at": T0 + 4, "channel": "call", "author": "Kim"}


def test_the_last_judgement_of_each_episode_since_a_time_and_before_another_is_found(store: Store) -> None:
    def judged(offset: int, episode: str, said: str, **changes: Any) -> Row:
        whole = f'{{"episode_id":{episode},"verdict":{said}}}'
        name, at = "Signal Judged", T0 + offset
        return event(offset, f"j{offset}", account="acme", name=name, properties=whole, occurred_at=at, **changes)

    rows = [
        judged(1, '"acme:usage_silent:1"', '"useful"'),
        judged(2, '"acme:usage_silent:2"', '"useful"'),
        judged(3, '"acme:usage_silent:2"', '"not_useful"'),
        judged(4, '"acme:usage_decline:2"', '"useful"'),
        judged(5, '"acme:usage_decline:2"', '"perhaps"'),
        judged(6, '""', '"useful"'),
        judged(7, "7", '"useful"'),
        judged(8, '"acme:usage_silent:2"', '"useful"', environment="staging"),
        judged(9, f'"{"é" * (MAX_RECORD_TEXT + 1)}"', '"useful"'),
        judged(10, f'"{"é" * MAX_RECORD_TEXT}"', '"useful"'),
    ]
    store.insert("events", rows)
    store.insert("events", rows[:4])

    found, earlier = store.judgements(T0 + 2).rows, store.judgements(T0 + 1, T0 + 3).rows

    assert [(each["occurred_at"] - T0, each["verdict"]) for each in earlier] == [(2, "useful"), (1, "useful")]
    assert [each["occurred_at"] - T0 for each in found] == [10, 4, 3]
    assert found[2] == {
        "account": "acme", "occurred_at": T0 + 3, "episode_id": "acme:usage_silent:2", "verdict": "not_useful",
        "rule": "", "severity": "", "author": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"rule": "r" * 5_000, "text": "é" * 30_000, "author": "😀" * 2_000}, ("r" * 1_000, "", "😀" * 1_000)),
        ({"rule": 7, "severity": ["WARNING"], "author": {"name": "Ada"}}, ("", "", "")),
        ({"rule": None, "severity": "'\\\"\n\0", "author": "{rule:String}"}, ("", "'\\\"\n\0", "{rule:String}")),
    ],
)
def test_texts_of_a_judgement_are_told_cut_and_no_other_values(
    store: Store, said: dict[str, Any], told: tuple[str, ...]
) -> None:
    whole = json.dumps({"episode_id": "e", "verdict": "useful", **said}, ensure_ascii=False)
    store.insert("events", [event(1, "j", account="acme", name="Signal Judged", properties=whole)])

    [found] = store.judgements(0).rows

    assert (found["rule"], found["severity"], found["author"]) == told
    assert len(json.dumps(found, ensure_ascii=False)) < 2_500


@pytest.mark.parametrize("said", ["{", "[1]", "null", '{"author":"\\ud800"}'])
def test_a_contact_whose_properties_cannot_be_read_stands_without_texts(store: Store, said: str) -> None:
    store.insert("events", [event(1, "c", account="acme", name="Customer Contacted", properties=said)])

    [found] = store.contacts(0).rows

    assert (found["channel"], found["author"]) == ("", "")
