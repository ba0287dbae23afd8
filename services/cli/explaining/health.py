"""An account's health at the close of a day: score, dimensions, measures, and the state that they were computed from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.measures import MEASURES, name_of
from services.alerter.domain.rules import RuleSet
from services.alerter.domain.wording import with_names, word
from services.cli.explaining.reading import Explained
from services.cli.explaining.replay import Judgement
from services.cli.held import ALL, held_of, iso
from services.scorer.domain.accounts.absences import of_account, of_people, of_strangers
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.active_users import WEEKS
from services.scorer.domain.accounts.daily_counts import SPAN
from services.shared.tracking_plan.state_values import WITHDRAWN
from services.shared.units import DAY_MS, written_time

SHOWN_WEEKS = 12
_SAME = ("score_tenths", "band", "measures", "facts", "dates", "counted")


def as_dict(found: Explained, rules: RuleSet) -> dict[str, Any]:
    """Return the explanation as JSON has it. Days are dates, times ISO 8601, points 0 to 100."""
    snapshot = found.judgement.snapshot
    return {
        "account": found.account,
        "day": iso(found.day),
        "instead": found.instead,
        "at": moment(snapshot["at"]),
        "partition": found.partition,
        "records": found.life.records,
        "log_begins_at": moment(found.life.first_time),
        "complete": found.log_begins == 0,
        "score": snapshot["score_tenths"] / 10,
        "previous_score": None if snapshot["previous_score_tenths"] is None else snapshot["previous_score_tenths"] / 10,
        "band": snapshot["band"],
        "stage": snapshot["stage"],
        "coverage": snapshot["coverage"],
        "model_version": snapshot["model_version"],
        "facts": {name: value for name, value in snapshot["facts"].items() if value is not None},
        "dates": {name: iso(day) for name, day in sorted(snapshot["dates"].items())},
        "dimensions": dimensions(found.judgement),
        "computed_from": computed_from(found.judgement, found.state),
        "signals": signals(found),
        "held": held(found.judgement, rules),
        "left_out": found.life.left_out,
        "unread": found.life.unread,
        "published": published(found),
    }


def dimensions(judgement: Judgement) -> dict[str, Any]:
    """Return by dimension its points in the score, their change, and its measures."""
    parts = {name_of(part["number"]): part for part in judgement.snapshot["parts"]}
    found: dict[str, Any] = {}
    for name, measure in MEASURES.items():
        if name not in judgement.measures and name not in parts:
            continue
        place = found.setdefault(measure.dimension, {"points": 0.0, "change": 0.0, "measures": {}})
        value = judgement.measures.get(name)
        words = with_names(word(value, measure.unit), judgement.snapshot, name)
        entry: dict[str, Any] = {"value": value, "words": words, "label": measure.label}
        entry["from"] = measure.needs
        if part := parts.get(name):
            entry |= _points(part)
            place["points"] = round(place["points"] + entry["contribution"], 1)
            place["change"] = round(place["change"] + entry["change"], 1)
        place["measures"][name] = entry
    if cap := parts.get("silence_cap"):
        found["silence_cap"] = {
            "points": cap["contribution_tenths"] / 10,
            "change": cap["change_tenths"] / 10,
            "measures": {},
        }
    return found


def _points(part: dict[str, Any]) -> dict[str, float]:
    return {
        "points": part["score"],
        "weight": part["weight"],
        "contribution": part["contribution_tenths"] / 10,
        "change": part["change_tenths"] / 10,
    }


def computed_from(judgement: Judgement, account: Account | None) -> dict[str, str]:
    """Return in words the state that the measures at hand were computed from, by kind and name."""
    if account is None:
        return {}
    needs = {need for name in judgement.measures if name in MEASURES for need in MEASURES[name].needs}
    needs |= {f"facts.{fact}" for fact in ("country", "go_live_day") if account.fact(fact) is not None}
    if account.roles is not None:
        needs.add("people.roles")
    day = int(judgement.snapshot["day"])
    return {need: text for need in sorted(needs) if (text := _in_words(account, need, day))}


def _in_words(account: Account, need: str, day: int) -> str:
    kind, _, name = need.partition(".")
    make: Callable[[Account, str, int], str] = {
        "counts": _count,
        "people": _people,
        "milestones": _milestone,
        "facts": _fact,
        "cases": _cases,
        "answers": _answers,
        "absences": _absences,
    }[kind]
    return make(account, name, day)


def _count(account: Account, name: str, day: int) -> str:
    history = account.history(name, day)
    if history is None:
        return "never counted"
    weekly = history[SPAN - 7 * WEEKS :].reshape(WEEKS, 7).sum(axis=1)[::-1].tolist()
    days = " ".join(str(int(count)) for count in history[-14:])
    weeks = " ".join(map(str, weekly[:SHOWN_WEEKS]))
    return f"the last 14 days {days}; by week, the latest first {weeks} ..."


def _people(account: Account, name: str, day: int) -> str:
    if name == "features":
        return _features(account)
    if name == "roles":
        return _roles(account, day)
    days, others = account.active_users.people(day), account.active_users.others(day)
    told = []
    if days is not None:
        seen = days[:, SPAN - 7 * WEEKS :].reshape(-1, WEEKS, 7).max(axis=2)[:, ::-1] > 0
        weekly = " ".join(str(int(count)) for count in seen.sum(axis=0)[:SHOWN_WEEKS])
        told.append(f"{len(days)} people in 36 weeks; active by week, the latest first {weekly} ...")
    if others is not None:
        told.append("{} agents and {} integrations".format(*map(len, others)))
    return "; ".join(told) or "nobody was active yet"


def _features(account: Account) -> str:
    told = []
    for feature in account.kinds.depths:
        last = account.last_used(feature)
        newest = int(last.max()) if last is not None and last.size else 0
        told.append(f"{feature} last used {iso(newest)}" if newest else f"{feature} not used in {SPAN} days")
    return "; ".join(told)


def _roles(account: Account, day: int) -> str:
    days = account.active_users.people(day)
    if account.roles is None or days is None:
        return "none was said of anybody who was active"
    codes = account.roles.of(account.active_users.known[: len(days)])
    told = []
    for role, place in account.kinds.roles.items():
        active = days[codes == place + 1].any(axis=0).nonzero()[0]
        last = (
            f"last active {iso(day - SPAN + 1 + int(active[-1]))}" if active.size else f"nobody active in {SPAN} days"
        )
        told.append(f"{role} {last}")
    return "; ".join(told)


def _milestone(account: Account, name: str, _day: int) -> str:
    reached = account.milestone(name)
    return "not reached" if reached < 0 else iso(reached)


def _fact(account: Account, name: str, _day: int) -> str:
    history = account.fact_history(name)
    if not history:
        return "never said"
    return ", before that ".join(f"{_value(name, value)} since {iso(at // DAY_MS)}" for at, value in reversed(history))


def _value(name: str, value: Any) -> str:
    if value is None:
        return "removed"
    return iso(value) if name.endswith("_day") else str(value)


def _cases(account: Account, name: str, _day: int) -> str:
    since = account.open_since(name)
    return f"{len(since)} open" + (f", the oldest since {moment(since[0])}" if since else "")


def _answers(account: Account, name: str, day: int) -> str:
    answers = account.sentiment(name, (day + 1) * DAY_MS)
    if not answers.latest_at:
        return "none in 180 days"
    return f"the latest of {moment(answers.latest_at)} was {answers.latest_score}"


def _absences(account: Account, _name: str, _day: int) -> str:
    known = account.absences or {}
    told = [f"the account from {iso(first)} to {iso(last)}" for first, last in of_account(known)]
    people = account.active_users
    told += [f"one person from {iso(first)} to {iso(last)}" for first, last in of_people(known, people)]
    unseen = "somebody who was not active in 256 days, which counts for nothing,"
    told += [f"{unseen} from {iso(first)} to {iso(last)}" for first, last in of_strangers(known, people)]
    told += [f"taken back from {iso(first)}" for (_, first), (last, _at) in sorted(known.items()) if last == WITHDRAWN]
    return "; ".join(told) or "none"


def signals(found: Explained) -> list[dict[str, Any]]:
    """Return the open episodes at that time, and each one's latest transition."""
    latest: dict[str, dict[str, Any]] = {}
    until = found.judgement.snapshot["at"]
    for signal in found.life.signals:
        if signal["at"] <= until:
            latest[signal["episode_id"]] = signal
    return [
        {
            "rule": signal["rule"],
            "severity": signal["severity"].lower(),
            "since": moment(signal["episode_started_at"]),
            "title": signal["title"],
            "summary": signal["summary"],
        }
        for signal in latest.values()
        if signal["transition"] != "RESOLVED"
    ]


def held(judgement: Judgement, rules: RuleSet) -> str:
    """Say which of the rules in force are held at that time, and why; empty: none is."""
    found = held_of(rules, judgement.snapshot, ALL)
    return "" if found is None else f"{found.why}; so these rules are held: {', '.join(found.rules)}"


def published(found: Explained) -> str:
    """Say whether this is what was published at the time."""
    then, now = found.published, found.judgement.snapshot
    if then is None:
        return "not found on account-health (kept for 90 days; a backfill publishes the past later)"
    different = [name for name in _SAME if then[name] != now[name]]
    if not different:
        return "the same as published then"
    told = f"differs from what was published then in {', '.join(different)}"
    if then["model_version"] != now["model_version"]:
        return f"{told}: the model, tracking plan or calendar was another ({then['model_version']})"
    return f"{told}: late events, another release, or records that retention has taken"


def moment(at: int) -> str:
    """Return a time (milliseconds since 1970) in ISO 8601, UTC, to the minute."""
    return written_time(at, "minutes")
