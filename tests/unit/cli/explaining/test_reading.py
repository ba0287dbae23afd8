"""An account's records through the folds once more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from schemas import codec
from services.alerter.rule_files import load_rules
from services.cli.commands.explain import explain
from services.cli.explaining import reading
from services.cli.explaining.health import as_dict
from services.cli.explaining.reading import Explained
from services.cli.explaining.replay import AccountReplay, of_usage_events
from services.cli.explaining.rule import why
from services.scorer.domain.lane.clock import SWEEP_MS
from services.shared.errors import Fatal
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_MS, date_of
from tests.support.scorer import DAY, MODEL, PLAN, Log, at, clock, fleet, tick

RULES = load_rules()


def iso(day: int) -> str:
    return date_of(DAY + day).isoformat()


def replayed(log: Log, account: str = "acme") -> AccountReplay:
    replay = AccountReplay(account, PLAN, MODEL, RULES)
    for record in log.memory.records("usage-events"):
        if replay.wants(record.key):
            replay.take(of_usage_events(0, record.offset, record.key, record.value, record.appended_at))
    return replay


def read_from(monkeypatch: pytest.MonkeyPatch, log: Log, published: Sequence[Mapping[str, Any]] = ()) -> None:
    """Let `explain` read a log in memory, and snapshots that were published."""
    records = log.memory.records("usage-events")

    async def limits(*_: object) -> dict[int, int]:
        return {0: len(records)}

    async def scan(_kafka: object, topic: str, *_: object) -> AsyncIterator[Any]:
        for each in records if topic == "usage-events" else ():
            yield SimpleNamespace(offset=each.offset, key=each.key, value=each.value, timestamp=each.appended_at)
        for snapshot in published if topic == "account-health" else ():
            yield SimpleNamespace(key=snapshot["account"].encode(), value=codec.encoder("account_health")(snapshot))

    for name in ("ends", "beginnings", "at_time"):
        monkeypatch.setattr(reading, name, limits)
    monkeypatch.setattr(reading, "scan", scan)


def close(log: Log, day: int) -> None:
    """Close a day as a lane does: at midnight, after the sweep, and with its factor."""
    for since in (0, SWEEP_MS):
        log.control("tick", tick(at(day + 1) + since))
    log.control("fleet", fleet(day))
    log.control("tick", tick(at(day + 1) + 2 * SWEEP_MS))


def test_events_of_other_accounts_are_left_out_and_what_cannot_be_applied_is_told() -> None:
    log = Log(1)
    log.event("e1", "acme", when=at(0, 1))
    log.event("e2", "globex", when=at(0, 2))
    log.event("e3", "acme", when=at(0, 3), name="Ticket Opened")
    log.control("tick", tick(at(0, 4)))
    replay = replayed(log)

    assert replay.life.records == 2
    assert replay.state is not None
    assert replay.state.today("events") == 1
    assert [text.partition(":")[0] for text in replay.life.left_out] == ["bad_case"]
    assert replay.life.judgements[-1].snapshot["account"] == "acme"


@pytest.mark.parametrize("key", ["acme", None])
def test_it_ends_at_a_record_of_an_unknown_schema_and_names_it(key: str | None) -> None:
    """The lane stands there as well: what comes behind it would be told without what the record says."""
    log = Log(1)
    log.event("e1", "acme", when=at(0, 1))
    log.control("tick", tick(at(1)))
    log.memory.append("usage-events", key.encode() if key else None, b"\0\0\1\0\0of another program", 0, at(1))
    log.event("e2", "acme", when=at(1, 1))
    log.control("tick", tick(at(2)))
    replay = replayed(log)
    judgement = replay.life.judgements[-1]
    found = Explained(
        "acme", judgement.snapshot["day"], 0, judgement, replay.life, replay.state, replay.log_time, 0, None
    )

    assert (replay.life.records, judgement.snapshot["day"]) == (1, DAY)
    assert replay.life.unread.startswith("usage-events/0/2: schema id 65536")
    assert as_dict(found, RULES)["unread"] == replay.life.unread
    assert why(found, RULES, "usage_silent", 90)["unread"] == replay.life.unread


async def test_an_account_with_nothing_before_such_a_record_is_not_called_unknown_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log(1)
    log.memory.append("usage-events", None, b"\0\0\1\0\0of another program", 0, at(1))
    log.event("e2", "acme", when=at(1, 1))
    read_from(monkeypatch, log)

    with pytest.raises(
        Fatal, match=r"unreadable from its first record on.* nothing was read from usage-events/0/0: schema id 65536"
    ):
        await reading.explain(KafkaSettings(), "acme", None, PLAN, MODEL, RULES)


def test_a_log_that_was_driven_reaches_back_to_the_first_day_of_the_drive() -> None:
    log = Log(1)
    log.control("tick", tick(at(300, 1)))
    log.control("clock", clock("DRIVEN", at(0), 7))
    log.event("e1", "acme", when=at(0, 1), epoch=7, historical=True)
    log.control("tick", tick(at(1), 7))
    replay = replayed(log)

    assert replay.life.first_time == at(0)
    assert replay.log_time == at(1)


@pytest.mark.parametrize("day", [3, 300])
async def test_a_day_of_a_drive_is_explained_though_ticks_had_passed_it_before(
    monkeypatch: pytest.MonkeyPatch, day: int
) -> None:
    """A stack that ran for three days before the history came in."""
    log = Log(1)
    for passed in range(300, 304):
        log.control("tick", tick(at(passed)))
    log.control("clock", clock("DRIVEN", at(0), 7))
    for driven in range(302):
        log.event(f"e{driven}", "acme", when=at(driven, 1), epoch=7, historical=True)
        log.control("tick", tick(at(driven + 1), 7))
        log.control("fleet", fleet(driven, epoch=7))
    read_from(monkeypatch, log)

    found = await reading.explain(KafkaSettings(), "acme", DAY + day, PLAN, MODEL, RULES)

    assert found.day == DAY + day


async def test_what_came_after_the_close_of_a_day_was_not_known_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's first event comes on the day after: its first judgement has the last closed day, which was before it."""
    log = Log(1)
    for day in range(3):
        log.event(f"o{day}", "globex", when=at(day, 1))
        close(log, day)
    log.event("e1", "acme", when=at(3, 1))
    log.control("tick", tick(at(3, 2)))
    close(log, 3)
    read_from(monkeypatch, log)

    with pytest.raises(
        Fatal, match=f"acme: nothing was known at the close of {iso(2)}: it was first judged on {iso(3)}"
    ):
        await reading.explain(KafkaSettings(), "acme", DAY + 2, PLAN, MODEL, RULES)
    assert (await reading.explain(KafkaSettings(), "acme", DAY + 3, PLAN, MODEL, RULES)).instead == ""


async def test_what_is_known_now_is_compared_with_what_was_published_of_it_not_with_the_last_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log(1)
    for day in range(3):
        log.event(f"e{day}", "acme", when=at(day, 1))
        close(log, day)
    for hour in (8, 9):
        facts = {"name": f"Acme at {hour}"}
        log.event(f"facts-{hour}", "acme", "", when=at(3, hour), kind="GROUP", properties=facts)
        log.control("tick", tick(at(3, hour + 0.5)))
    snapshots = [each.snapshot for each in replayed(log).life.judgements]
    read_from(monkeypatch, log, snapshots)

    now, then = [await reading.explain(KafkaSettings(), "acme", day, PLAN, MODEL, RULES) for day in (None, DAY + 2)]

    assert (now.published, then.published) == (snapshots[-1], snapshots[-3])
    assert as_dict(now, RULES)["published"] == as_dict(then, RULES)["published"] == "the same as published then"


async def test_what_an_account_that_rests_says_after_the_close_of_a_day_is_not_what_that_was_computed_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log(1)
    for day in range(90):
        if day < 30:
            log.event(f"e{day}", "acme", when=at(day, 1))
        if day in {0, 81}:
            log.event(f"facts-{day}", "acme", "", when=at(day, 2), kind="GROUP", properties={"seats": 10 + day})
        if day == 81:
            log.event("ticket", "acme", when=at(day, 3), name="Ticket Opened", properties={"ticket_id": "t1"})
        close(log, day)
    read_from(monkeypatch, log)

    then = as_dict(await reading.explain(KafkaSettings(), "acme", DAY + 80, PLAN, MODEL, RULES), RULES)
    later = as_dict(await reading.explain(KafkaSettings(), "acme", DAY + 81, PLAN, MODEL, RULES), RULES)

    assert then["instead"] == f"it was not judged at the close of {iso(80)}: this is the judgement before"
    assert (then["facts"]["seats"], then["computed_from"]["facts.seats"]) == (10, f"10 since {iso(0)}")
    assert then["computed_from"]["cases.tickets"] == "0 open"
    assert (later["day"], later["facts"]["seats"]) == (iso(81), 91)


async def test_a_day_on_which_an_account_was_not_judged_is_told_beside_the_one_that_is_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After six weeks of silence it is judged once a week, and after 256 days it is forgotten."""
    log = Log(1)
    for day in range(320):
        if day < 30:
            log.event(f"e{day}", "acme", when=at(day, 1))
        close(log, day)
    read_from(monkeypatch, log)

    resting, gone = [await reading.explain(KafkaSettings(), "acme", DAY + day, PLAN, MODEL, RULES) for day in (80, 310)]

    assert DAY + 73 < resting.day < DAY + 80
    assert (
        as_dict(resting, RULES)["instead"]
        == f"it was not judged at the close of {iso(80)}: this is the judgement before"
    )
    assert why(resting, RULES, "usage_silent", 90)["instead"] == resting.instead
    assert ", and the scorer forgot the account on " in gone.instead

    today = await reading.explain(KafkaSettings(), "acme", DAY + 320, PLAN, MODEL, RULES)
    assert today.instead == f"{iso(320)} is not over yet: this is the judgement before its close"


def test_a_record_that_asks_about_a_long_step_waits_for_its_answer() -> None:
    log = Log(1)
    log.event("e1", "acme", when=at(0, 1))
    log.event("e2", "acme", when=at(30, 1))
    log.event("e3", "acme", when=at(30, 2))
    unanswered = replayed(log)
    log.control("clock", clock("ACCEPT", at(30, 1)))
    answered = replayed(log)

    assert (unanswered.life.records, unanswered.log_time) == (1, at(0, 1))
    assert (answered.life.records, answered.log_time // DAY_MS) == (3, DAY + 30)


def test_a_past_that_a_backfill_brought_gives_the_same_judgements_as_it_did_then() -> None:
    log = Log(1)
    runner = log.runner()
    log.control("clock", clock("DRIVEN", at(), 1))
    for day in range(40):
        for account in ("acme", "globex"):
            log.event(f"{account}-{day}", account, when=at(day, 9), epoch=1, historical=True)
        log.control("tick", tick(at(day + 1), 1))
        runner.run()
    log.control("clock", clock("LIVE", at(40)))
    runner.run()
    then = [codec.decode(record.value or b"")[1] for record in log.memory.records("account-health")]

    recomputed = [judgement.snapshot for judgement in replayed(log).life.judgements]
    assert len(recomputed) > 40
    assert recomputed == [each for each in then if each["account"] == "acme"]


@pytest.mark.parametrize("text", ["2025-W10-1", "20250303", "yesterday"])
def test_a_day_that_is_not_written_as_year_month_and_day_is_refused(text: str) -> None:
    with pytest.raises(Fatal, match=f"--at {text}: give a day such as 2027-03-31"):
        explain("acme", at=text)
