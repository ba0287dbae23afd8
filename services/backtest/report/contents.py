"""What a report says, in the order in which it says it: the first lines, then tables. How it looks is decided elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.backtest import generator
from services.backtest.domain.alarms import AlarmFigures
from services.backtest.domain.figures import BacktestFigures, is_ours
from services.backtest.domain.grid import FEWEST_WEEKS
from services.backtest.domain.headline import SHOWN, of_list, of_use, ranks_better
from services.backtest.domain.history import OWN
from services.backtest.domain.ranking import Decile
from services.backtest.domain.resampling import Interval
from services.backtest.driving import Driven
from services.backtest.generator.figures import Found
from services.backtest.measuring import AgainstList
from services.backtest.words import Speech

MOST_NAMES = 1000
_FEW = 0.02
_NAMED = 5
"""Accounts that the first lines name."""


@dataclass(frozen=True)
class Table:
    """A table; the first column stands to the left, the others to the right."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    ours: int = 0
    """How many of the rows are Tidemark's: the first ones."""


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it."""

    title: str
    paragraphs: list[str] = field(default_factory=list)
    table: Table | None = None


@dataclass(frozen=True)
class ReportPart:
    """What a report says about one history."""

    name: str
    headline: list[str]
    sections: list[Section]
    figures: BacktestFigures
    against: AgainstList | None = None


@dataclass(frozen=True)
class Measured:
    """A history and all that was measured of it."""

    driven: Driven
    figures: BacktestFigures
    against: AgainstList | None = None
    truth: dict[str, generator.Figures] | None = None
    """By name of an alarm, for a generated history."""
    problems: tuple[str, ...] = ()
    """What was left out of what was given, and why."""


def part_of(measured: Measured, say: Speech) -> ReportPart:
    """Return what there is to say about one history, in one language."""
    figures, against = measured.figures, measured.against
    headline = of_list(against.calls, against.owners, say) if against else of_use(figures, say)
    if against and figures.losses:
        headline = [*headline, *ranks_better(figures.ranking, say)]
    left_out = _not_judged(measured, say)
    if left_out and against and not against.calls[0].lost:
        more = len(left_out) - _NAMED
        headline = [*headline, *left_out[:_NAMED], *([say("left_out.more", count=more)] if more > 0 else [])]
    elif against and left_out:
        headline = [*headline, _named([account for account, _ in against.lost.left_out], say)]
    sections = [
        *_left_out(measured, say),
        _cohort(measured, say),
        *(_list_sections(against, _reasons(measured.driven), say) if against else ()),
        *(_truth_sections(measured.truth, say) if measured.truth else ()),
        *_alarm_sections(figures, say),
        _rules(figures, say),
        _ranking(figures, say),
        _calibration(figures, say),
    ]
    return ReportPart(name_of(figures.name, say), headline, sections, figures, against)


def name_of(history: str, say: Speech) -> str:
    """Return what a history is called: as its file is, but for one's own."""
    return say("own_history") if history == OWN else history


def head_of(say: Speech, key: str, *columns: str) -> tuple[str, ...]:
    """Return the first row of a table."""
    return tuple(say(f"{key}.head.{column}") for column in columns)


def _named(accounts: Sequence[str], say: Speech) -> str:
    """Name accounts on the list that are no part of the numbers above: without them a reader takes these for all."""
    named = ", ".join([*accounts[:_NAMED], *(["…"] if len(accounts) > _NAMED else [])])
    return say("headline.list.not_judged", count=len(accounts), named=named)


def _left_out(measured: Measured, say: Speech) -> Iterable[Section]:
    rejected = []
    for reason, count in sorted(measured.driven.rejected.items()):
        key = f"left_out.reason.{reason}"
        rejected.append(say("left_out.rejected", count=count, reason=say(key) if say.has(key) else reason))
    told: list[str] = []
    total = 0
    for lines in (measured.problems, _not_judged(measured, say), rejected):  # many of one kind hide no other
        more, total = len(lines) - MOST_NAMES, total + len(lines)
        told += [*lines[:MOST_NAMES], *([say("left_out.more", count=more)] if more > 0 else [])]
    if told:
        table = Table((say("left_out.head"),), [(line,) for line in told])
        yield Section(say("left_out.title"), [say("left_out.lead", count=total)], table)


def _not_judged(measured: Measured, say: Speech) -> list[str]:
    """Return each account on the list that cannot be judged, with the reason."""
    lines = []
    known = frozenset(measured.driven.accounts)
    alike = {_letters(account): account for account in measured.driven.accounts}
    for account, why in measured.against.lost.left_out if measured.against else ():
        other = None if account in known else alike.get(_letters(account))
        said = say("left_out.alike", other=say.quoted([other])) if other else say(f"left_out.{why}", count=FEWEST_WEEKS)
        lines.append(f"{account}: {said}")
    return lines


def _letters(account: str) -> str:
    """Return what is left of an id without case, spaces, marks and the zeros that a spreadsheet drops at its beginning."""
    return "".join(letter for letter in account.casefold() if letter.isalnum()).lstrip("0") or account


def _cohort(measured: Measured, say: Speech) -> Section:
    driven, figures = measured.driven, measured.figures
    found = say(f"measured.found.{'loss' if measured.against else 'collapse'}")
    weeks = say(
        "measured.weeks",
        events=say("events", count=driven.events),
        accounts=say("accounts", count=len(driven.accounts)),
        first=say.day(driven.span.first_day),
        last=say.day(driven.span.end_day - 1),
        weeks=say("weeks", count=figures.weeks),
        measured=say("accounts", count=figures.accounts),
        least=say("active", count=figures.least_base, shown=say.short(figures.least_base)),
    )
    target = say(f"measured.target.{figures.target}")
    rate = say.percent(figures.base_rate, digits_of(figures.base_rate))
    loss = say("measured.loss", target=target, rate=rate)
    starts = say("measured.losses", count=figures.losses)
    start = [say("measured.start")] if measured.against else []
    losses = [" ".join([loss, starts, *start])] if figures.weeks else []  # a share of no account-weeks says nothing
    return Section(say("measured.title"), [weeks, *losses, say("measured.call", found=found)])


def _reasons(driven: Driven) -> dict[str, str]:
    """Return why accounts were lost, as far as the list says it: of several losses of one the first counts."""
    latest_first = sorted(driven.outcomes, key=lambda each: each.day, reverse=True)
    return {each.account: each.reason for each in latest_first if each.kind == "lost"}


def _list_sections(against: AgainstList, reasons: dict[str, str], say: Speech) -> Iterable[Section]:
    rows = [
        (
            say.named("alarm", each.name),
            say("list.flagged", flagged=say.cell(each.flagged), lost=say.cell(each.lost)),
            say.cell(each.lead_days),
            say.cell(each.calls),
            say.cell(each.in_vain),
            say.cell(each.in_vain_a_week, 2),
            say.cell(each.in_vain_a_week / against.owners if against.owners else None, 2),
        )
        for each in against.calls
    ]
    head = head_of(say, "list", "alarm", "flagged", "days_before", "calls", "in_vain", "a_week", "per_owner")
    yield Section(say("list.title"), [say("list.note")], Table(head, rows, ours=1))
    ours = against.calls[0]
    plain = next(each for each in against.calls if each.name == SHOWN)
    told = any(reasons.values())
    each = [
        (account, say.day(day), *([reasons[account]] if told else []), say.cell(lead), say.cell(other))
        for (account, day, lead), (_, _, other) in zip(ours.accounts, plain.accounts, strict=True)
    ]
    if each:
        columns = (
            *head_of(say, "each", "account", "lost_on", *(["reason"] if told else []), "ours"),
            say("each.head.plain", rule=say.named("alarm", SHOWN)),
        )
        first_only = say("each.first_only", most=say.number(MOST_NAMES), all=say.number(len(each)))
        notes = [first_only] if len(each) > MOST_NAMES else []
        yield Section(say("each.title"), [" ".join([*notes, say("each.note")])], Table(columns, each[:MOST_NAMES]))


def _truth_sections(truth: dict[str, generator.Figures], say: Speech) -> Iterable[Section]:
    cases: dict[str, Callable[[generator.Figures], Found]] = {
        "sudden_stop": lambda found: found.sudden_stop,
        "sudden_stop_above_3": lambda found: found.sudden_stop_above_3,
        "seat_loss": lambda found: found.seat_loss,
        "slow_decay": lambda found: found.slow_decay,
        "vacations": lambda found: found.vacations["all"],
        "agent_moves": lambda found: found.agent_moves,
        "growth": lambda found: found.growth,
    }
    rows = [
        (say(f"truth.{key}"), *(_case(take(found), say) for found in truth.values())) for key, take in cases.items()
    ]
    rows.append((say("truth.wrong"), *(say.cell(found.false.per_1000, 2) for found in truth.values())))
    rows.append(
        (say("truth.wrong_in_holidays"), *(say.cell(found.false_in_holidays.per_1000, 2) for found in truth.values()))
    )
    head = (say("truth.head"), *(say.named("alarm", name) for name in truth))
    first = next(iter(truth.values()))
    early = [say.percent(each.share_before_rules, 1) for each in (first.false, first.false_in_holidays)]
    note = say("truth.note", before_rules=early[0], in_holidays=early[1])
    yield Section(say("truth.title"), [note], Table(head, rows))


def _case(found: Found, say: Speech) -> str:
    counted: dict[str, Any] = {"alarmed": say.cell(found.alarmed), "cases": say.cell(found.cases)}
    if found.median_days is None:
        return say("truth.found", **counted)
    return say("truth.found_after", days=say.short(found.median_days), **counted)


def _alarm_sections(figures: BacktestFigures, say: Speech) -> Iterable[Section]:
    def plain(interval: Interval, digits: int) -> str:
        return say.cell(interval.value, digits)

    note = say("calls.note", before_rules=say.percent(figures.before_rules, 1))
    yield Section(say("calls.title"), [note], _alarms(figures.alarms, say.interval, say))
    if figures.holidays[0].weeks:
        yield Section(say("calls.holidays"), [], _alarms(figures.holidays, plain, say))
    for (low, high), alarms in figures.sizes.items():
        if not alarms[0].weeks:
            continue
        is_open = high == float("inf")
        key, most = ("calls.size_above", "") if is_open else ("calls.size", say.short(high))
        title = say(key, low=say.short(low), high=most)
        yield Section(title, [], _alarms(alarms, plain, say))


def _alarms(alarms: Sequence[AlarmFigures], written: Callable[[Interval, int], str], say: Speech) -> Table:
    head = head_of(
        say, "calls", "alarm", "calls", "wrong", "precision", "recall", "on_already", "losses", "delay", "flaps", "again",
        "false_recovery", "open",
    )  # fmt: skip
    rows = [
        (
            say.named("alarm", each.name),
            written(each.onsets, 1),
            written(each.false, 1),
            written(each.precision, 2),
            written(each.recall, 2),
            say.cell(each.found_or_on, 2),
            say.cell(each.losses),
            say.cell(each.delay),
            say.cell(each.flaps.value, 1),
            say.percent(each.flap_share),
            say.percent(each.false_recoveries),
            say.percent(each.open_share),
        )
        for each in alarms
    ]
    return Table(head, rows, ours=sum(is_ours(each.name) for each in alarms))


def _rules(figures: BacktestFigures, say: Speech) -> Section:
    rows = [
        (
            f"{each.rule}, {say(f'severity.{each.severity}')}",
            say.cell(each.fired),
            say.interval(each.precision, 2),
            say.cell(each.lift, 1),
        )
        for each in figures.rules
        if each.fired
    ]
    head = head_of(say, "rules", "rule", "signals", "precision", "lift")
    return Section(say("rules.title"), [say("rules.note")], Table(head, rows))


def _ranking(figures: BacktestFigures, say: Speech) -> Section:
    rows = [
        (
            say.named("score", each.name),
            say.interval(each.auc, 3),
            say.interval(each.average_precision, 3),
            say.cell(each.top_share, 2),
            say.cell(each.top_a_week, 2),
        )
        for each in figures.ranking
    ]
    rate = say.number(figures.base_rate, 2 + digits_of(figures.base_rate))
    note = [say("ranking.note", rate=rate)] if figures.weeks else []
    head = head_of(say, "ranking", "score", "auc", "average_precision", "top_share", "top_a_week")
    return Section(
        say("ranking.title"), note, Table(head, rows, ours=sum(is_ours(each.name) for each in figures.ranking))
    )


def _calibration(figures: BacktestFigures, say: Speech) -> Section:
    rows = [
        (
            range_of(each, say),
            say.cell(each.weeks),
            say.percent(each.losses, digits_of(figures.base_rate)),
        )
        for each in figures.calibration
    ]
    head = head_of(say, "calibration", "health", "weeks", "losses")
    return Section(say("calibration.title"), [say("calibration.note")], Table(head, rows))


def digits_of(rate: float) -> int:
    """Return the digits of shares in per cent beside a rate of losses: where few are lost, whole ones would be 0 or 1."""
    return max(1, -math.floor(math.log10(100 * rate))) if 0 < rate < _FEW else 0


def range_of(part: Decile, say: Speech) -> str:
    """Return the health scores of a part."""
    return say("calibration.range", low=say.cell(part.lowest), high=say.cell(part.highest))
