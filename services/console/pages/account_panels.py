"""The panels of an account: what each draws on the axis that all share, and the table that says the same in text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from markupsafe import Markup

from services.console.account import happened
from services.console.account.expected import expected
from services.console.account.past import DIMENSIONS, Past
from services.console.account.questions import HELD_BELOW, by_state
from services.console.account.records import Recorded
from services.console.addresses import account_address
from services.console.charts.lanes import Bar, Lane, Mark, lanes, shortened
from services.console.charts.over_time import Reading, Stack, shares, stacked, within_band
from services.console.charts.timeline import Axis, Shade, ruler
from services.console.rendering import Visit

PEOPLE_DRAWN = 12
SIGNALS_DRAWN = 12
_WEEK = 7
_TITLE = 160
_RECORD_SHAPES = {"contact": "dot", "note": "square", "goal": "flag", "handoff": "diamond", "churn": "down"}
_FACTS_OF_MONEY = frozenset({"revenue"})
_FACTS_OF_DAYS = frozenset({"renewal_date", "contract_start"})


@dataclass(frozen=True)
class Table:
    """The same as a chart, in text."""

    heads: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Panel:
    """One chart of the axis."""

    name: str
    drawn: Markup
    table: Table
    legend: Sequence[tuple[str, str]] = ()
    """Class of a key and its words."""
    note: str = ""


class Panels:
    """All panels, in the order in which they stand."""

    def __init__(
        self,
        visit: Visit,
        account: str,
        past: Past,
        signals: Sequence[Mapping[str, Any]],
        people: Sequence[Mapping[str, Any]],
        records: Sequence[Recorded],
    ) -> None:
        self._t, self._f, self._w = visit.words, visit.formats, visit.wording
        self._account = account
        self._past = past
        self._signals = happened.episodes(signals)
        self._people = by_state(people)
        self._records = records
        # What was recorded this minute is newer than the newest snapshot.
        self._axis = Axis(past.first, max([past.last, *(each.said for each in records)]))

    def __iter__(self) -> Any:
        made = (self._health, self._use, self._customers, self._persons, self._episodes, self._events)
        return (panel for panel in (make() for make in made) if panel is not None)

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was ever published of the account."""
        return not self._past.days

    @cached_property
    def ruler(self) -> Markup:
        """Return the axis, each week a link to what was known at its end."""
        return ruler(
            self._axis,
            self._t("account.axis"),
            month=lambda day: self._f.month(day.isoformat()),
            week=lambda day: (
                account_address(self._account, at=day.isoformat()),
                self._t("account.open_day", day=self._day(day)),
            ),
        )

    @cached_property
    def _away(self) -> list[tuple[date, date]]:
        said = [(each.on, each.until or each.on) for each in self._records if each.kind == "absence"]
        return sorted({*happened.absences(self._past), *said})

    @cached_property
    def _holidays(self) -> list[date]:
        return happened.public_holidays(self._past)

    @cached_property
    def _shades(self) -> list[Shade]:
        quiet = [Shade("quiet", *span) for span in self._past.spans_below("fleet_level", HELD_BELOW)]
        away = [Shade("away", first, last) for first, last in self._away if first <= self._past.last]
        return [*quiet, *away, *(Shade("away", day, day) for day in self._holidays)]

    def _health(self) -> Panel | None:
        stacks = [
            Stack(
                day.on,
                {name: tenths / 10 for name, tenths in day.layers.items() if name},
                day.layers[""] / 10,
                day.told["score"] if day.is_judged else None,
            )
            for day in self._past.days
        ]
        if not stacks:
            return None
        shown = [each for each in stacks if each.total is not None]
        latest = shown[-1] if shown else None
        label = self._t("account.health.none")
        if latest is not None:
            label = self._t(
                "account.health.label", score=self._f.score(latest.total), first=self._f.score(shown[0].total)
            )
        known = [name for name in DIMENSIONS if any(each.layers.get(name) for each in shown)]
        legend = [(f"key-{name}", self._dimension(name, latest)) for name in reversed(known)]
        if any(each.cut for each in shown):
            legend.append(("key-cut", self._t("account.cut")))
        heads = [self._t("account.day"), self._t("account.score"), *(self._t(f"dimension.{n}") for n in known)]
        heads.append(self._t("account.cut"))
        rows = [
            [
                self._day(s.day),
                self._points(s.total),
                *(self._points(s.layers.get(n, 0)) for n in known),
                self._points(s.cut),
            ]
            for s in self._weekly(shown)
        ]
        drawn = stacked(self._axis, stacks, DIMENSIONS, label, self._shades)
        return Panel("health", drawn, Table(heads, rows), legend)

    def _dimension(self, name: str, latest: Stack | None) -> str:
        points = self._points(latest.layers.get(name, 0)) if latest else ""
        return f"{self._t(f'dimension.{name}')} {points}".strip()

    def _use(self) -> Panel | None:
        readings = []
        for day in self._past.days:
            count = day.value("user_days_1w")
            if count is not None:
                band = expected(day)
                readings.append(Reading(day.on, count, *(band or (None, None, None))))
        if not readings:
            return None
        last = readings[-1]
        label = self._t("account.use.label", value=self._f.number(last.value), usual=self._f.number(last.middle))
        heads = [self._t(f"account.use.{name}") for name in ("week", "value", "expected", "band")]
        rows = [
            [
                self._day(each.day),
                self._f.number(each.value),
                self._f.number(each.middle, 1),
                self._t("account.use.from_to", low=self._f.number(each.low), high=self._f.number(each.high)),
            ]
            for each in self._weekly(readings)
        ]
        legend = [("key-line", self._t("account.use.value")), ("key-band", self._t("account.use.key"))]
        drawn = within_band(self._axis, readings, label, self._shades, self._f.count)
        return Panel("use", drawn, Table(heads, rows), legend)

    def _customers(self) -> Panel | None:
        fleet = [(day.on, day.value("fleet_level")) for day in self._past.days]
        own = [(day.on, day.value("calendar_level")) for day in self._past.days]
        if not any(value is not None for _, value in fleet):
            return None
        lines = [("fleet-line", fleet)]
        legend = [("key-fleet", self._t("account.customers.fleet"))]
        if any(value is not None for _, value in own):
            lines.append(("calendar-line", own))
            legend.append(("key-calendar", self._t("account.customers.calendar")))
        quiet = [span for span in self._shades if span.kind == "quiet"]
        legend += [("key-quiet", self._t("account.customers.quiet"))] if quiet else []
        legend += [("key-away", self._t("account.customers.away"))] if len(self._shades) > len(quiet) else []
        latest = next((value for _, value in reversed(fleet) if value is not None), None)
        label = self._t("account.customers.label", level=self._f.share(latest), count=len(quiet))
        heads = [self._t("account.day"), self._t("account.customers.fleet"), self._t("account.customers.calendar")]
        rows = [
            [self._day(day), self._f.share(level), self._f.share(calendar)]
            for (day, level), (_, calendar) in self._weekly(list(zip(fleet, own, strict=True)))
        ]
        drawn = shares(self._axis, lines, label, self._shades, self._f.share, HELD_BELOW)
        return Panel("customers", drawn, Table(heads, rows), legend)

    def _persons(self) -> Panel | None:
        if not self._people:
            return None
        drawn = []
        for each in self._people[:PEOPLE_DRAWN]:
            first, last = date.fromisoformat(each["first_active"]), date.fromisoformat(each["last_active"])
            name = each["user_id"] or each["user"]
            title = self._t(
                f"account.person.{each['state']}",
                name=shortened(name, _TITLE),
                first=self._day(first),
                last=self._day(last),
            )
            marks = [Mark(first, "up", "mark-joined", title)] if (first - self._past.first).days > _WEEK else []
            marks += [Mark(last, "down", "mark-left", title)] if each["state"] in {"left", "quiet"} else []
            drawn.append(Lane(name, [Bar(first, last, f"bar-{each['state']}", title)], marks, f"state-{each['state']}"))
        states = [each["state"] for each in self._people]
        gone, new = states.count("left") + states.count("quiet"), states.count("joined")
        label = self._t("account.people.label", count=len(states), gone=gone, new=new)
        heads = [self._t(f"account.people.{name}") for name in ("person", "state", "first", "last", "days")]
        rows = [
            [
                shortened(each["user_id"] or each["user"], _TITLE),
                self._t(f"account.state.{each['state']}"),
                self._f.day(each["first_active"]),
                self._f.day(each["last_active"]),
                self._f.number(each["active_days_28"]),
            ]
            for each in self._people
        ]
        legend = [
            ("key-joined", self._t("account.people.key_joined")),
            ("key-left", self._t("account.people.key_left")),
        ]
        hidden = len(self._people) - PEOPLE_DRAWN
        note = self._t("account.people.more", count=hidden) if hidden > 0 else ""
        return Panel("people", lanes(self._axis, drawn, label, self._shades), Table(heads, rows), legend, note)

    def _episodes(self) -> Panel | None:
        shown = [each for each in self._signals if each.last is None or each.last >= self._past.first]
        by_rule: dict[str, list[happened.Episode]] = {}
        for each in shown:
            by_rule.setdefault(each.signal["rule"], []).append(each)
        drawn = []
        for of_rule in list(by_rule.values())[:SIGNALS_DRAWN]:
            bars = [Bar(e.first, e.last, f"bar-{e.kind}", self._episode(e)) for e in of_rule]
            drawn.append(Lane(self._w.title(of_rule[0].signal), bars))
        if not drawn:
            return None
        label = self._t("account.signals.label", count=len(shown))
        heads = [self._t(f"account.signals.{name}") for name in ("signal", "severity", "first", "last", "ended")]
        rows = [
            [
                self._w.title(each.signal),
                self._t("signals.one_expansion") if each.kind == "expansion" else self._w.severity(each.kind),
                self._day(each.first),
                self._day(each.last) if each.last else self._t("account.signals.open"),
                self._t(f"account.resolved.{each.resolved}") if each.resolved else "–",
            ]
            for each in shown
        ]
        kinds = [kind for kind in ("critical", "warning", "info", "expansion") if any(e.kind == kind for e in shown)]
        words = {kind: self._w.severity(kind) for kind in kinds} | {"expansion": self._t("signals.one_expansion")}
        legend = [(f"key-{kind}", words[kind]) for kind in kinds]
        return Panel("signals", lanes(self._axis, drawn, label, self._shades), Table(heads, rows), legend)

    def _episode(self, each: happened.Episode) -> str:
        last = self._day(each.last) if each.last else self._t("account.signals.open")
        return f"{shortened(self._w.title(each.signal), _TITLE)}: {self._day(each.first)} – {last}"

    def _events(self) -> Panel | None:
        told: list[tuple[date, str, str]] = []
        marks: dict[str, list[Mark]] = {"facts": [], "milestones": [], "answers": [], "records": []}

        def mark(lane: str, on: date, shape: str, class_: str, kind: str, text: str, beside: str = "") -> None:
            told.append((on, kind, text))
            marks[lane].append(
                Mark(on, shape, class_, shortened(f"{self._day(on)}: {kind}. {text}", _TITLE * 2), beside)
            )

        for each in happened.facts_changed(self._past):
            text = f"{self._fact(each.fact, each.before)} → {self._fact(each.fact, each.after)}"
            mark("facts", each.on, "diamond", "mark-fact", self._fact_name(each.fact), text)
        for on, name in happened.milestones(self._past):
            if on >= self._past.first:
                mark(
                    "milestones",
                    on,
                    "flag",
                    "mark-milestone",
                    self._t("account.events.milestone"),
                    self._named("milestone", name),
                )
        for on, day in happened.answers(self._past):
            mean, lowest = day.value("survey_mean"), day.value("lowest_answer")
            text = self._t("account.events.answer_text", mean=self._f.number(mean, 1), lowest=self._f.number(lowest))
            mark("answers", on, "dot", "mark-answer", self._t("account.events.answer"), text, self._f.number(mean, 1))
        for record in self._records:
            if record.kind != "absence":
                text = " · ".join([*record.texts, record.author] if record.author else record.texts)
                mark(
                    "records",
                    record.on,
                    _RECORD_SHAPES[record.kind],
                    f"mark-{record.kind}",
                    self._t(f"record.{record.kind}.name"),
                    text,
                )
        drawn = [Lane(self._t(f"account.events.{name}"), (), found) for name, found in marks.items() if found]
        if (tickets := self._tickets()) is not None:
            drawn.append(tickets)
        if self._away or self._holidays:
            drawn.append(self._away_lane(told))
        if not drawn:
            return None
        table = Table(
            [self._t("account.day"), self._t("account.events.what"), self._t("account.events.detail")],
            [[self._day(on), kind, shortened(text, 500)] for on, kind, text in sorted(told, reverse=True)],
        )
        label = self._t("account.events.label", count=len(told))
        legend = [
            (f"key-{kind}", self._t(f"record.{kind}.name"))
            for kind in _RECORD_SHAPES
            if any(each.kind == kind for each in self._records)
        ]
        return Panel("events", lanes(self._axis, drawn, label, self._shades), table, legend)

    def _tickets(self) -> Lane | None:
        bars: list[Bar] = []
        begun: date | None = None
        most = 0.0
        for day in self._past.days:
            count = day.value("tickets_open") or 0
            if count and begun is None:
                begun, most = day.on, count
            most = max(most, count)
            if begun is not None and not count:
                bars.append(self._ticket(begun, day.on, most))
                begun, most = None, 0.0
        if begun is not None:
            bars.append(self._ticket(begun, None, most))
        return Lane(self._t("account.events.tickets"), bars) if bars else None

    def _ticket(self, first: date, last: date | None, most: float) -> Bar:
        until = self._day(last) if last else self._t("account.signals.open")
        title = self._t("account.events.open_tickets", count=round(most), first=self._day(first), last=until)
        return Bar(first, last, "bar-tickets many" if most >= 3 else "bar-tickets", title)

    def _away_lane(self, told: list[tuple[date, str, str]]) -> Lane:
        kind, bars = self._t("account.events.absence"), []
        for first, last in self._away:
            text = f"{self._day(first)} – {self._day(last)}"
            told.append((first, kind, text))
            bars.append(Bar(first, last, "bar-away", f"{kind}: {text}"))
        for day in self._holidays:
            holiday = self._t("account.events.holiday")
            told.append((day, holiday, ""))
            bars.append(Bar(day, day, "bar-away", f"{holiday}: {self._day(day)}"))
        return Lane(self._t("account.events.away"), bars)

    def _fact_name(self, name: str) -> str:
        return self._named("fact", name)

    def _named(self, room: str, name: str) -> str:
        key = f"{room}.{name}"
        return self._t(key) if self._t.has(key) else name.replace("_", " ").capitalize()

    def _fact(self, name: str, value: Any) -> str:
        if value is None:
            return "–"
        if name in _FACTS_OF_MONEY:
            return self._f.money(value, short=False)
        if name in _FACTS_OF_DAYS:
            return self._f.day(value)
        return self._f.number(value) if isinstance(value, int | float) else shortened(str(value), _TITLE)

    def _day(self, day: date) -> str:
        return self._f.day(day.isoformat())

    def _points(self, value: float | None) -> str:
        return self._f.number(value, 1)

    @staticmethod
    def _weekly(given: Sequence[Any]) -> list[Any]:
        """Return every seventh, the newest first."""
        return list(reversed(given))[::_WEEK]
