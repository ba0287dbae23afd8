"""Panels of values over time: the score in layers, use against what was expected, and all customers."""

from __future__ import annotations

from operator import attrgetter

from services.console.account.expected import expected
from services.console.account.past import DIMENSIONS
from services.console.account.questions import HELD_BELOW
from services.console.charts.over_time import Reading, ScoreStack, shares, stacked, within_band
from services.console.panels.context import Panel, PanelContext, TextTable, weekly
from services.console.words.formats import DASH


def health(c: PanelContext) -> Panel | None:
    """Return the score in layers; None where nothing was published."""
    stacks = [
        ScoreStack(
            day.on,
            {name: tenths / 10 for name, tenths in day.layers.items() if name},
            day.layers[""] / 10,
            day.told["score"] if day.is_judged else None,
        )
        for day in c.past.days
    ]
    if not stacks:
        return None
    shown = [each for each in stacks if each.total is not None]
    latest = shown[-1] if shown else None
    label = c.t("account.health.none")
    if latest is not None:
        label = c.t("account.health.label", score=c.f.score(latest.total), first=c.f.score(shown[0].total))
    known = [name for name in DIMENSIONS if any(each.layers.get(name) for each in shown)]
    legend = _sum_of(c, known, shown) if latest is not None else []
    heads = [c.t("account.day"), c.t("account.score"), *(c.t(f"dimension.{n}") for n in known)]
    heads.append(c.t("account.cut"))
    rows = [
        [
            c.day(s.day),
            c.points(s.total),
            *(c.points(s.layers.get(n, 0)) for n in known),
            c.points(s.cut),
        ]
        for s in weekly(shown, attrgetter("day"))
    ]
    drawn = stacked(c.axis, stacks, DIMENSIONS, label, c.shades)
    return Panel("health", drawn, TextTable(heads, rows), legend)


def _sum_of(c: PanelContext, known: list[str], shown: list[ScoreStack]) -> list[tuple[str, str]]:
    """Return the latest day as a sum that can be checked: each layer, what a cap takes away, and the score."""
    latest = shown[-1]
    rows = [(f"key-{name}", c.t(f"dimension.{name}"), c.points(latest.layers.get(name, 0))) for name in reversed(known)]
    if any(each.cut for each in shown):
        rows.append(("key-cut", c.t("account.cut"), c.f.change_exact(latest.cut) if latest.cut else c.points(0)))
    rows.append(("key-line", c.t("account.sum"), c.points(latest.total)))
    return [(class_, f"{words} {points}") for class_, words, points in rows]


def use(c: PanelContext) -> Panel | None:
    """Return use against its band."""
    readings = []
    for day in c.past.days:
        count = day.value("user_days_1w")
        if count is not None:
            band = expected(day)
            readings.append(Reading(day.on, count, *(band or (None, None, None))))
    if not readings:
        return None
    last = readings[-1]
    label = c.t("account.use.label", value=c.f.number(last.value), usual=c.f.number(last.middle))
    heads = [c.t(f"account.use.{name}") for name in ("week", "value", "expected", "band")]
    rows = [
        [
            c.day(each.day),
            c.f.number(each.value),
            c.f.number(each.middle, 1),
            DASH
            if each.low is None
            else c.t("account.use.from_to", low=c.f.number(each.low), high=c.f.number(each.high)),
        ]
        for each in weekly(readings, attrgetter("day"))
    ]
    legend = [("key-line", c.t("account.use.value")), ("key-band", c.t("account.use.key"))]
    drawn = within_band(c.axis, readings, label, c.shades, c.f.count)
    return Panel("use", drawn, TextTable(heads, rows), legend, c.t("account.use.note"))


def customers(c: PanelContext) -> Panel | None:
    """Return the level of all customers and the own calendar."""
    fleet = [(day.on, day.value("fleet_level")) for day in c.past.days]
    own = [(day.on, day.value("calendar_level")) for day in c.past.days]
    if not any(value is not None for _, value in fleet):
        return None
    lines = [("fleet-line", fleet)]
    legend = [("key-fleet", c.t("account.customers.fleet"))]
    if any(value is not None for _, value in own):
        lines.append(("calendar-line", own))
        legend.append(("key-calendar", c.t("account.customers.calendar")))
    quiet = [span for span in c.shades if span.kind == "quiet"]
    legend += [("key-quiet", c.t("account.customers.quiet"))] if quiet else []
    legend += [("key-away", c.t("account.customers.away"))] if len(c.shades) > len(quiet) else []
    latest = next((value for _, value in reversed(fleet) if value is not None), None)
    label = c.t("account.customers.label", level=c.f.level(latest), count=len(quiet))
    heads = [c.t("account.day"), c.t("account.customers.fleet"), c.t("account.customers.calendar")]
    rows = [
        [c.day(day), c.f.level(level), c.f.level(calendar)]
        for (day, level), (_, calendar) in weekly(list(zip(fleet, own, strict=True)), lambda both: both[0][0])
    ]
    drawn = shares(c.axis, lines, label, c.shades, c.f.share, HELD_BELOW)
    return Panel("customers", drawn, TextTable(heads, rows), legend)
