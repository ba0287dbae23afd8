"""Attribution between bytes and bytes: what is read, what is written where, and a whole session through all lanes."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import codec
from schemas.topics import DEAD_LETTERS, USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.scorer.attribution_processor import AttributionProcessor
from services.scorer.domain.attribution.fold import STEP_EVENTS, AttributionFold
from services.scorer.domain.attribution.waiting import WaitingBounds
from services.shared.engine.memory.runner import Cuts
from services.shared.engine.processor import SourceRecord
from services.shared.errors import Poison, UnknownVersion
from services.shared.units import DAY_MS
from tests.support.attribution import ANON, KIM, Log, encode, event, link, read
from tests.support.scorer import at, measures


def processor() -> AttributionProcessor:
    return AttributionProcessor(3, AttributionFold(1_000, WaitingBounds(), 1_000))


def record(kind: str, value: dict[str, Any], key: bytes | None = None, appended_at: int = at(0, 5)) -> SourceRecord:
    return SourceRecord(
        USAGE_UNATTRIBUTED,
        3,
        7,
        value.get("user", "").encode() if key is None else key,
        encode(kind, value),
        appended_at,
    )


def events(log: Log) -> list[dict[str, Any]]:
    found = [codec.decode(value) for value in log.memory.values(USAGE_EVENTS)]
    return [value for kind, value in found if kind == "usage_event"]


# reading


@pytest.mark.parametrize(
    ("kind", "value", "key", "reason"),
    [
        ("usage_event", event("e"), b"u_other", "wrong_key"),
        ("usage_event", event("e", ""), b"", "wrong_key"),
        ("usage_event", event("e", account="acme"), None, "wrong_topic"),
        ("usage_event", event("e", received_at=0), None, "wrong_time"),
        ("user_link", link("MEMBER"), None, "no_account"),
        ("user_link", link("SAME"), None, "no_known_as"),
        ("user_link", link("UNKNOWN", account="acme"), None, "unknown_kind"),
    ],
)
def test_what_nobody_can_belong_to_is_poison(kind: str, value: dict[str, Any], key: bytes | None, reason: str) -> None:
    with pytest.raises(Poison) as raised:
        processor().decode(record(kind, value, key))

    assert raised.value.reason == reason


def test_a_record_of_a_newer_version_is_no_poison() -> None:
    with pytest.raises(UnknownVersion):
        processor().decode(SourceRecord(USAGE_UNATTRIBUTED, 0, 0, b"u", b"\0\0\0\x27\x0f" + bytes(20)))


def test_the_time_of_a_record_is_the_earlier_of_two_clocks() -> None:
    assert processor().decode(record("usage_event", event("e", when=at(0, 9)))).at == at(0, 5)
    assert processor().decode(record("usage_event", event("e", when=at(0, 1)))).at == at(0, 1)


def test_a_lane_that_a_drive_comes_to_first_begins_in_the_present() -> None:
    lane = processor()
    past = event("e", when=at(-400), epoch=7, historical=True)
    for offset, source in enumerate(
        (record("usage_event", past, appended_at=at(0, 5)), record("tick", {"at": at(0, 6), "epoch": 0}, b"", at(0, 6)))
    ):
        for _ in lane.fold(offset, lane.decode(source), 0) or ():
            pass

    assert (lane.log_time, lane.waiting, len(lane.state.waiting)) == (at(0, 6), None, 1)


# writing


@pytest.mark.parametrize("version", [1, 2])
def test_a_forwarded_event_is_as_it_was_but_for_its_account(version: int) -> None:
    value = event("e1", accepted_by="host-1", internal=True, properties={"rows": 3}, forwards=2)
    written = codec.encoder("usage_event", version)(value)
    lane = processor()
    for raw, kind in ((encode("user_link", link("MEMBER", account="acme")), "user_link"), (written, "usage_event")):
        lane.fold(0, lane.decode(SourceRecord(USAGE_UNATTRIBUTED, 3, 0, KIM.encode(), raw, at(0, 5))), 0)
        assert kind
    [append] = lane.take_appends()

    assert (append.topic, append.key, append.partition) == (USAGE_EVENTS, b"acme", None)
    expected = {**value, "account": "acme", "via": "USER", "forwards": 3}
    assert read(append.value) == (expected if version == 2 else {**expected, "accepted_by": ""})
    assert append.value[:5] == written[:5]


def test_a_dead_letter_has_the_record_and_says_what_to_do() -> None:
    log = Log(1)
    log.tick(at())
    log.event("e1")
    log.tick(at(7))
    log.runner().run()

    [letter] = [read(value) for value in log.memory.values(DEAD_LETTERS)]

    assert (letter["reason"], letter["field"], letter["by"]) == ("no_account", "account", "scorer")
    assert "tidemark accounts resolve" in letter["detail"]
    assert letter["origin"] == f"{USAGE_UNATTRIBUTED}/0/1"
    assert read(letter["original"]) == event("e1")
    assert (letter["event_id"], letter["source"], letter["rejected_at"]) == ("e1", "app", at(7))


def test_long_work_comes_in_steps() -> None:
    log = Log(1, WaitingBounds(of_user=10_000))
    log.tick(at())
    for number in range(3 * STEP_EVENTS + 1):
        log.event(f"e{number}")
    log.link("MEMBER", account="acme")
    runner = log.runner(Cuts(chunk=(10_000,)))
    lane = runner.processor(USAGE_UNATTRIBUTED)
    steps = 0
    for source in log.memory.records(USAGE_UNATTRIBUTED):
        for _ in lane.fold(source.offset, lane.decode(source), 0) or ():
            steps += 1

    assert steps == 3
    assert len(lane.take_appends()) == 3 * STEP_EVENTS + 1


def test_a_lane_without_a_time_is_due_at_once() -> None:
    lane = processor()
    assert lane.due == 0

    for _ in lane.fold(0, lane.decode(record("tick", {"at": at(), "epoch": 0}, b"")), 0) or ():
        pass

    assert lane.due is None


def test_staff_who_log_in_count_for_nothing_whatever_they_did_before() -> None:
    log = Log(2)
    log.tick(at(0, 8))
    for number in range(3):
        log.event(f"page-{number}", ANON, at(0, 9) + number, kind="PAGE")
    log.link("SAME", ANON, when=at(0, 10), known_as=KIM, authority="BROWSER", internal=True)
    log.link("MEMBER", KIM, "acme", at(0, 11), authority="BROWSER", internal=True)
    log.event("own", KIM, at(0, 12), internal=True)
    log.event("other", "u_lee", at(0, 12), account="acme", via="EVENT")
    runner = log.runner()
    runner.run()
    account = next(
        runner.processor(USAGE_EVENTS, p).state.accounts["acme"]  # type: ignore[attr-defined]
        for p in range(2)
        if "acme" in runner.processor(USAGE_EVENTS, p).state.accounts  # type: ignore[attr-defined]
    )

    assert sorted((value["event_id"], value["internal"]) for value in events(log)) == [
        ("other", False), ("own", True), ("page-0", True), ("page-1", True), ("page-2", True),
    ]  # fmt: skip
    assert (account.today("events"), account.today("active")) == (1, 1)


# a whole session


def session(log: Log, start: int, name: str = "") -> None:
    """Write what ingest writes of one session of Segment's own SDK: only identify and group name anything."""
    anonymous = f"{ANON}{name}"
    moment = iter(range(start, start + DAY_MS, 1000))
    log.event(f"{name}page-0", anonymous, next(moment), kind="PAGE")
    log.event(f"{name}identify", KIM + name, now := next(moment), kind="IDENTIFY")
    log.link("SAME", anonymous, when=now, known_as=KIM + name, authority="BROWSER")
    log.event(f"{name}group", KIM + name, now := next(moment), kind="GROUP", account="acme", via="EVENT")
    log.link("MEMBER", KIM + name, "acme", now, authority="BROWSER")
    for number in range(10):
        log.event(f"{name}track-{number}", KIM + name, next(moment))
    for number in range(1, 6):
        log.event(f"{name}page-{number}", KIM + name, next(moment), kind="PAGE")


def test_a_session_in_which_only_identify_and_group_name_things_is_scored_whole() -> None:
    log = Log(2)
    log.tick(at(0, 8))
    for day in range(3):
        session(log, at(day, 9), f"-{day}")
        log.tick(at(day + 1))
        log.tick(at(day + 1) + 1_200_000)
    runner = log.runner()
    runner.run()
    log.tick(at(3, 4))
    runner.run()

    found = events(log)
    assert len(found) == 3 * 18
    assert {value["account"] for value in found} == {"acme"}
    assert {value["user"] for value in found} == {f"{KIM}-{day}" for day in range(3)}
    assert {value["identified"] for value in found} == {True}
    lanes = [runner.processor(USAGE_UNATTRIBUTED, p).state.counted() for p in range(2)]  # type: ignore[attr-defined]
    assert sum(lane.waiting for lane in lanes) == 0
    assert sum(lane.forwarded for lane in lanes) == 3 * 17
    health = [read(value) for value in log.memory.values("account-health", b"acme")]
    latest = [h for h in health if h["reason"] == "DAY_CLOSE"][-1]
    assert measures(latest)["events_7"] == 3 * 16


def test_of_two_people_who_are_one_an_account_counts_one() -> None:
    log = Log(2)
    log.tick(at(0, 8))
    log.event("e1", ANON, at(0, 9), account="acme", via="EVENT")
    log.link("NAMED", ANON, "acme", at(0, 9), authority="BROWSER")
    log.event("e2", KIM, at(0, 10), account="acme", via="EVENT")
    runner = log.runner()
    runner.run()
    log.link("SAME", ANON, when=at(0, 11), known_as=KIM, authority="BROWSER")
    runner.run()
    account = next(
        runner.processor(USAGE_EVENTS, p).state.accounts["acme"]  # type: ignore[attr-defined]
        for p in range(2)
        if "acme" in runner.processor(USAGE_EVENTS, p).state.accounts  # type: ignore[attr-defined]
    )

    assert account.today("active") == 1
    assert account.today("events") == 2
