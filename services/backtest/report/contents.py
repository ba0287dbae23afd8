"""What a report says, in the order in which it says it: the first lines, then tables. How it looks is decided elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from services.backtest import generator
from services.backtest.domain.alarms import AlarmFigures
from services.backtest.domain.figures import BacktestFigures
from services.backtest.domain.headline import SHOWN, of_list, of_use
from services.backtest.domain.resampling import Interval
from services.backtest.driving import Driven
from services.backtest.generator.figures import Found
from services.backtest.measuring import AgainstList

_EPOCH = date(1970, 1, 1)
MOST_NAMES = 1000
NOTHING = "-"


@dataclass(frozen=True)
class Table:
    """A table; the first column is text, the others are figures."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


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


def part_of(measured: Measured) -> ReportPart:
    """Return what there is to say about one history."""
    figures, against = measured.figures, measured.against
    headline = of_list(against.calls, against.owners) if against else of_use(figures)
    sections = [
        *_left_out(measured),
        _cohort(measured),
        *(_list_sections(against) if against else ()),
        *(_truth_sections(measured.truth) if measured.truth else ()),
        *_alarm_sections(figures),
        _rules(figures),
        _ranking(figures),
        _calibration(figures),
    ]
    return ReportPart(figures.name, headline, sections, figures, against)


def _left_out(measured: Measured) -> Iterable[Section]:
    lines = list(measured.problems)
    if measured.against:
        lines += [f"{account}: {why}" for account, why in measured.against.lost.left_out]
    rejected = measured.driven.rejected
    lines += [f"{count} events were not counted: {reason}" for reason, count in sorted(rejected.items())]
    if lines:
        rest = [f"and {len(lines) - MOST_NAMES} more"] if len(lines) > MOST_NAMES else []
        rows = [(line,) for line in [*lines[:MOST_NAMES], *rest]]
        yield Section("Left out", [f"{len(lines)} things could not be used."], Table(("what, and why",), rows))


def _cohort(measured: Measured) -> Section:
    driven, figures = measured.driven, measured.figures
    first, last = (_EPOCH + timedelta(days=day) for day in (driven.span.first_day, driven.span.end_day - 1))
    found = "within the 16 weeks before it" if measured.against else "within 4 weeks before and 8 weeks after its start"
    return Section(
        "What was measured",
        [
            (
                f"{driven.events:,} events of {len(driven.accounts):,} accounts, {first.isoformat()} to {last.isoformat()}. "
                f"Measured are the {figures.weeks:,} account-weeks of {figures.accounts:,} accounts that are at least 8 weeks old, "
                f"with at least {figures.least_base:g} active user-days a week over the 30 weeks before, not silent for more than 8 "
                "weeks, and with 12 later weeks known."
            ),
            (
                f"A loss: {figures.target}. It follows on {_percent(figures.base_rate)} of the account-weeks: that is the precision "
                f"of calling anybody at random. {figures.losses} losses start in the measured weeks."
            ),
            (
                "A call is an onset: the first day of a risk of severity warning or above, with none open in the 28 days "
                f"before. It is false if no loss follows within 12 weeks. A loss is found if a call lies {found}. Ranges in brackets hold 95 % of the results when accounts are drawn anew."
            ),
        ],
    )


def _list_sections(against: AgainstList) -> Iterable[Section]:
    rows = [
        (
            each.name,
            f"{each.flagged} of {each.lost}",
            _number(each.lead_days),
            str(each.calls),
            str(each.in_vain),
            _number(each.in_vain_a_week, 2),
            _number(each.in_vain_a_week / against.owners, 2) if against.owners else NOTHING,
        )
        for each in against.calls
    ]
    head = ("alarm", "flagged", "median days before", "calls", "in vain", "in vain a week", "per owner")
    note = (
        "Flagged: the alarm was on at some time in the 12 weeks before the loss. In vain: a call after which the account "
        "was not lost within 12 weeks. The threshold “as many calls” was chosen on this very history, which favours it."
    )
    yield Section("The list of lost customers", [note], Table(head, rows))
    ours = against.calls[0]
    plain = next(each for each in against.calls if each.name == SHOWN)
    columns = ("account", "lost on", "Tidemark, days before", f"{SHOWN}, days before")
    each = [
        (account, (_EPOCH + timedelta(days=day)).isoformat(), _number(lead), _number(other))
        for (account, day, lead), (_, _, other) in zip(ours.accounts, plain.accounts, strict=True)
    ]
    if each:
        more = f"The first {MOST_NAMES:,} of {len(each):,}. " if len(each) > MOST_NAMES else ""
        note = f"{more}Days from when the account was on the list to the loss; -: it was not flagged."
        yield Section("Each lost account", [note], Table(columns, each[:MOST_NAMES]))


def _truth_sections(truth: dict[str, generator.Figures]) -> Iterable[Section]:
    cases: tuple[tuple[str, Callable[[generator.Figures], Found]], ...] = (
        ("sudden stop, in 14 days", lambda found: found.sudden_stop),
        ("the same over three people, in 10 days", lambda found: found.sudden_stop_above_3),
        ("seat loss, in 60 days", lambda found: found.seat_loss),
        ("slow decay, in 60 days", lambda found: found.slow_decay),
        ("vacations alarmed", lambda found: found.vacations["all"]),
        ("moves to an agent alarmed", lambda found: found.agent_moves),
        ("growth alarmed", lambda found: found.growth),
    )
    rows = [(name, *(_case(take(found)) for found in truth.values())) for name, take in cases]
    rows.append(("false per 1,000 account-weeks", *(_number(found.false.per_1000, 2) for found in truth.values())))
    rows.append(("false in holidays", *(_number(found.false_in_holidays.per_1000, 2) for found in truth.values())))
    note = "Of the cases of each kind those that were alarmed, and the median days from their onset."
    yield Section("Against the generator's truth", [note], Table(("what happened", *truth), rows))


def _case(found: Found) -> str:
    days = "" if found.median_days is None else f", {found.median_days:g} d"
    return f"{found.alarmed} of {found.cases}{days}"


def _alarm_sections(figures: BacktestFigures) -> Iterable[Section]:
    note = (
        "Per 1,000 account-weeks, but for precision, recall and shares. Or on already: losses found, or with the alarm on "
        "since more than 4 weeks. Delay: median days from the start of a loss to the call that finds it. Flaps: alarms that come again within "
        "8 weeks after they went. False recovery: of alarms that recovered, those followed by a loss. Open: account-weeks "
        "that end with the alarm on. The threshold “as many calls” was chosen on this very history, which favours it."
    )
    yield Section("Calls", [note], _alarms(figures.alarms, _range))
    if figures.holidays[0].weeks:
        yield Section("Calls from 15 December to 9 January", [], _alarms(figures.holidays, _plain))
    for size, alarms in figures.sizes.items():
        if not alarms[0].weeks:
            continue
        yield Section(f"Calls for accounts with {size} active user-days a week", [], _alarms(alarms, _plain))


def _alarms(alarms: Sequence[AlarmFigures], written: Callable[[Interval, int], str]) -> Table:
    head = (
        "alarm", "calls", "false", "precision", "recall", "or on already", "losses", "delay", "flaps", "come again",
        "false recovery", "open",
    )  # fmt: skip
    rows = [
        (
            each.name,
            written(each.onsets, 1),
            written(each.false, 1),
            written(each.precision, 2),
            written(each.recall, 2),
            _number(each.found_or_on, 2),
            str(each.losses),
            _number(each.delay),
            _number(each.flaps.value, 1),
            _percent(each.flap_share),
            _percent(each.false_recoveries),
            _percent(each.open_share),
        )
        for each in alarms
    ]
    return Table(head, rows)


def _rules(figures: BacktestFigures) -> Section:
    rows = [
        (f"{each.rule}, {each.severity}", str(each.fired), _range(each.precision, 2), _number(each.lift, 1))
        for each in figures.rules
        if each.fired
    ]
    note = "Each signal at the moment at which it took its severity. Lift: precision over that of calling at random."
    return Section("Rules", [note], Table(("rule", "signals", "precision", "lift"), rows))


def _ranking(figures: BacktestFigures) -> Section:
    rows = [
        (
            each.name,
            _range(each.auc, 3),
            _range(each.average_precision, 3),
            _number(each.top_share, 2),
            _number(each.top_a_week, 2),
        )
        for each in figures.ranking
    ]
    head = ("score", "AUC", "average precision", "precision of the worst 5 %", "of the 10 worst a week")
    return Section("Ranking account-weeks", [], Table(head, rows))


def _calibration(figures: BacktestFigures) -> Section:
    rows = [
        (f"{each.lowest:.0f} to {each.highest:.0f}", str(each.weeks), _percent(each.losses))
        for each in figures.calibration
    ]
    return Section("Losses by health score", [], Table(("health", "account-weeks", "followed by a loss"), rows))


def _range(interval: Interval, digits: int) -> str:
    if math.isnan(interval.value):
        return NOTHING
    if math.isnan(interval.low):
        return f"{interval.value:.{digits}f}"
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _plain(interval: Interval, digits: int) -> str:
    return _number(interval.value, digits)


def _number(value: float | None, digits: int = 0) -> str:
    return NOTHING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _percent(share: float) -> str:
    return NOTHING if math.isnan(share) else f"{100 * share:.0f} %"
