"""An account's records through the folds once more, and what is said of a rule."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from schemas import codec
from schemas.measures import numbered
from services.alerter.domain.state_format import RuleState
from services.alerter.rule_files import load_rules
from services.cli.commands.explain import explain
from services.cli.explaining import reading
from services.cli.explaining.health import as_dict, computed_from, dimensions
from services.cli.explaining.reading import Explained
from services.cli.explaining.replay import AccountReplay, Judgement, Life, of_usage_events
from services.cli.explaining.rule import why
from services.scorer.domain.lane.clock import SWEEP_MS
from services.shared.errors import Fatal
from services.shared.kafka.settings import KafkaSettings
from services.shared.units import DAY_MS, HOUR_MS, date_of
from tests.support.scorer import DAY, MODEL, PLAN, Log, UsageLane, at, clock, fleet, tick

RULES = load_rules()
CALM = {
    "level_4w": 0.9,
    "chance_low_4w": 0.4,
    "expected_4w": 40.0,
    "learning": 0.0,
    "age_days": 300.0,
    "fleet_level": 1.0,
}


def iso(day: int) -> str:
    return date_of(DAY + day).isoformat()


def judged(day: int, states: dict[str, RuleState] | None = None, **measures: float) -> Judgement:
    values = CALM | measures
    snapshot: dict[str, Any] = {
        "account": "acme",
        "day": DAY + day,
        "at": at(day + 1),
        "reason": "DAY_CLOSE",
        "measures": numbered(values),
    }
    return Judgement(snapshot, values, states or {})


def explained(*judgements: Judgement) -> Explained:
    last = judgements[-1]
    life = Life(judgements=list(judgements), records=1, first_time=at(0))
    return Explained("acme", last.snapshot["day"], 0, last, life, None, last.snapshot["at"], 0, None)


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
    assert as_dict(found)["unread"] == replay.life.unread
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
    assert as_dict(now)["published"] == as_dict(then)["published"] == "the same as published then"


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
    assert as_dict(resting)["instead"] == f"it was not judged at the close of {iso(80)}: this is the judgement before"
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


def test_each_condition_has_its_value_and_the_day_on_which_it_came_closest() -> None:
    found = explained(judged(1, level_4w=0.8), judged(2, level_4w=0.55, chance_low_4w=0.01), judged(3, level_4w=0.7))
    told = why(found, RULES, "usage_decline", 90)
    fallen, expected = told["fires"]["all"]
    level, chance = fallen["any"][0]["all"]

    assert (level["value"], level["threshold"], level["held_on"]) == (0.7, 0.5, 0)
    assert (level["closest"]["day"], level["closest"]["value"]) == (iso(2), 0.55)
    assert (chance["holds"], chance["held_on"]) == (False, 1)
    assert expected["holds"]
    assert told["nearest_day"] == {"day": iso(2), "missing": 1, "conditions": ["level_4w below 50 %"]}
    assert (told["verdict"], told["longest"]) == ("its conditions do not hold", "never")


def test_a_value_is_told_as_exactly_as_it_takes_to_see_on_which_side_of_the_threshold_it_is() -> None:
    found = explained(judged(1, level_4w=0.4971, chance_low_4w=0.00012, days_per_person=1.97, regulars_gone=3.0))
    (level, chance), (also_level, _) = (
        part["all"] for part in why(found, RULES, "usage_decline", 90)["fires"]["all"][0]["any"][:2]
    )
    per_person = next(
        part for part in why(found, RULES, "regulars_gone", 90)["fires"]["all"] if part["measure"] == "days_per_person"
    )

    assert (level["condition"], level["words"]) == ("level_4w below 50 %", "49.71 %")
    assert (also_level["condition"], chance["words"]) == ("level_4w below 60 %", "0.012 %")
    assert (per_person["condition"], per_person["words"]) == ("days_per_person at least 2 days", "1.97 days")

    tickets = why(explained(judged(1, median_ticket_hours=72.5)), RULES, "tickets_stuck", 90)["fires"]["all"][1]["any"]
    assert (tickets[1]["condition"], tickets[1]["words"]) == ("median_ticket_hours above 72 hours", "72.5 hours")


def test_days_of_each_person_are_told_with_their_part_of_a_day() -> None:
    found = judged(1, days_per_person=1.7)
    found.snapshot["parts"] = []

    assert dimensions(found)["breadth"]["measures"]["days_per_person"]["words"] == "1.7 days"


@pytest.mark.parametrize(
    ("hours", "longest"),
    [
        (62, "for 2 days 14 hours"),
        (72, "for 3 days"),
        (71.99, "for 3 days"),
        (1.5, "for 1 hour 30 minutes"),
        (0.001, "for 1 minute"),
    ],
)
def test_a_rule_that_waited_for_too_short_a_time_is_not_told_to_have_waited_long_enough(
    hours: float, longest: str
) -> None:
    first, later = (judged(1, level_4w=0.2, chance_low_4w=0.001) for _ in range(2))
    later.snapshot["at"] = first.snapshot["at"] + int(hours * HOUR_MS)

    told = why(explained(first, later), RULES, "usage_decline", 90)

    assert (told["for"], told["longest"]) == ("for 3 days", f"{longest} at the longest")


def test_days_before_those_asked_for_do_not_count() -> None:
    found = explained(judged(1, level_4w=0.1), judged(20, level_4w=0.8))

    assert why(found, RULES, "usage_decline", 7)["fires"]["all"][0]["any"][0]["all"][0]["closest"]["day"] == iso(20)
    assert why(found, RULES, "usage_decline", 7)["judged"] == 1


@pytest.mark.parametrize(
    ("states", "measures", "verdict"),
    [
        ({}, {"learning": 1.0}, "must not fire now"),
        ({}, {"calendar_level": 0.2}, "it is held"),
        ({}, {"fleet_level": 0.5}, "it is held"),
        ({"usage_silent": RuleState(started_at=at(1), severity=2, category=1)}, {}, "inhibited by usage_silent"),
        ({"usage_decline": RuleState(resolved_at=at(1), severity=1, category=1)}, {}, "cooldown until"),
        ({"usage_decline": RuleState(inhibited_at=at(1))}, {}, "stays quiet until"),
        ({"usage_silent": RuleState(resolved_at=at(1), severity=2, category=1)}, {}, "stays quiet until"),
        ({"usage_decline": RuleState(expired_while_firing=True)}, {}, "expired while its cause was there"),
        ({"usage_decline": RuleState(pending_since=at(2))}, {}, "have to for 3 days"),
        ({"usage_decline": RuleState(started_at=at(2), severity=1, category=1)}, {}, "it is open since"),
    ],
)
def test_it_says_what_keeps_a_rule_from_firing_whose_conditions_hold(
    states: dict[str, RuleState], measures: dict[str, float], verdict: str
) -> None:
    found = explained(judged(3, states, level_4w=0.2, chance_low_4w=0.001, **measures))

    assert verdict in why(found, RULES, "usage_decline", 90)["verdict"]


def test_an_open_risk_is_named_as_what_keeps_an_expansion_back() -> None:
    risk = {"nps_detractor": RuleState(started_at=at(1), severity=2, category=1)}
    info = {"moved_to_agents": RuleState(started_at=at(1), severity=1, category=1)}
    grown = {
        "level_4w": 1.8,
        "level_1w": 1.8,
        "chance_high_4w": 0.001,
        "active_users_level": 1.6,
        "active_users_28": 8.0,
    }

    told = why(explained(judged(3, risk, **grown)), RULES, "usage_growth", 90)
    other = why(explained(judged(3, info, **grown)), RULES, "usage_growth", 90)

    assert told["kept_back"] == ["inhibited by nps_detractor, open since 2024-10-05T00:00Z"]
    assert "kept back: inhibited by nps_detractor" in told["verdict"]
    assert other["kept_back"] == []


def test_what_is_not_known_is_said_to_be_so() -> None:
    found = explained(judged(3))
    told = why(found, RULES, "tickets_stuck", 90)
    leaf = told["fires"]["all"][0] if "all" in told["fires"] else told["fires"]

    assert (leaf["value"], leaf["words"], leaf["holds"]) == (None, "not known", False)
    assert "closest" not in leaf


def test_a_rule_sees_the_other_open_signals_as_it_does_in_the_alerter() -> None:
    states = {"usage_silent": RuleState(started_at=at(1), severity=3, category=1)}
    assert why(explained(judged(3, states)), RULES, "renewal_at_risk", 90)["judged"] == 1

    assert judged(3, states).measures_for("renewal_at_risk")["open_critical"] == 1
    assert judged(3, states).measures_for("usage_silent")["open_critical"] == 0


def test_an_unknown_rule_is_told_which_there_are() -> None:
    with pytest.raises(Fatal, match="there are active_users_falling, "):
        why(explained(judged(3)), RULES, "nothing", 90)


def test_what_was_computed_from_names_agents_and_a_go_live() -> None:
    lane = UsageLane()
    for number, actor in enumerate(["PERSON", "AGENT", "INTEGRATION"]):
        lane.event(f"e{number}", user="ann", when=at(0, 3), actor=actor)
    lane.event("e3", kind="GROUP", user="", when=at(0, 4), properties={"go_live_on": iso(0)})
    lane.close(0)

    found = computed_from(judged(0, active_users_28=1.0), lane.state.accounts["acme"])

    assert found["people.active"].startswith("1 people in 36 weeks; active by week, the latest first 1 0 0")
    assert found["people.active"].endswith("...; 1 agents and 1 integrations")
    assert found["facts.go_live_day"].startswith(f"{iso(0)} since")


@pytest.mark.parametrize("text", ["2025-W10-1", "20250303", "yesterday"])
def test_a_day_that_is_not_written_as_year_month_and_day_is_refused(text: str) -> None:
    with pytest.raises(Fatal, match=f"--at {text}: give a day such as 2027-03-31"):
        explain("acme", at=text)
