"""Panels of what lasts and what happens: people, signals, and all else that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from services.console.account import happened
from services.console.charts.lanes import Bar, ChartLane, LaneMark, lanes, shortened
from services.console.panels.context import LONGEST_TITLE, Panel, PanelContext, TextTable

PEOPLE_DRAWN, PEOPLE_LISTED = 12, 100
SIGNALS_DRAWN = 12
_NEW_AFTER_DAYS = 7
"""Who was there within the first days of the axis may have been there before."""
_MANY_TICKETS = 3
_SEVERITY_SHAPES = {"critical": "octagon", "warning": "up", "info": "dot", "expansion": "ring"}
"""As the icons of severities: colour never stands alone."""
_RECORD_SHAPES = {
    "contact": "dot",
    "note": "square",
    "goal": "flag",
    "reached": "flag",
    "handoff": "diamond",
    "churn": "down",
    "judged": "ring",
}


def people(c: PanelContext) -> Panel | None:
    """Return people from their first to their last day."""
    if not c.people:
        return None
    drawn, names = [], _names(c.people)
    for each in c.people[:PEOPLE_DRAWN]:
        first, last = date.fromisoformat(each["first_active"]), date.fromisoformat(each["last_active"])
        name = each["user_id"] or each["user"]
        title = c.t(
            f"account.person.{each['state']}",
            name=shortened(name, LONGEST_TITLE),
            first=c.day(first),
            last=c.day(last),
        )
        marks = [LaneMark(first, "up", "mark-joined", title)] if (first - c.past.first).days > _NEW_AFTER_DAYS else []
        marks += [LaneMark(last, "down", "mark-left", title)] if each["state"] in {"left", "quiet"} else []
        drawn.append(
            ChartLane(
                names[each["user"]], [Bar(first, last, f"bar-{each['state']}", title)], marks, f"state-{each['state']}"
            )
        )
    states = [each["state"] for each in c.people]
    gone, new = states.count("left") + states.count("quiet"), states.count("joined")
    label = c.t("account.people.label", count=len(states), gone=gone, new=new)
    heads = [c.t(f"account.people.{name}") for name in ("person", "state", "first", "last", "days")]
    rows = [
        [
            shortened(each["user_id"] or each["user"], LONGEST_TITLE),
            c.t(f"account.state.{each['state']}"),
            c.f.day(each["first_active"]),
            c.f.day(each["last_active"]),
            c.f.number(each["active_days_28"]),
        ]
        for each in c.people[:PEOPLE_LISTED]
    ]
    legend = [
        ("key-joined", c.t("account.people.key_joined")),
        ("key-left", c.t("account.people.key_left")),
    ]
    hidden = min(len(c.people), PEOPLE_LISTED) - PEOPLE_DRAWN
    note = c.t("account.people.more", count=hidden) if hidden > 0 else ""
    return Panel("people", lanes(c.axis, drawn, label, c.shades), TextTable(heads, rows), legend, note)


def _names(people: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what people are called where there is little room: of addresses the part before the @, if that tells them apart."""
    whole = {each["user"]: str(each["user_id"] or each["user"]) for each in people}
    local = {user: name.partition("@")[0] or name for user, name in whole.items()}
    return local if len(set(local.values())) == len(set(whole.values())) else whole


def signals(c: PanelContext) -> Panel | None:
    """Return the episodes of signals."""
    shown = [each for each in c.signals if each.last is None or each.last >= c.past.first]
    by_rule: dict[str, list[happened.SignalEpisode]] = {}
    for each in shown:
        by_rule.setdefault(each.signal["rule"], []).append(each)
    drawn = []
    for of_rule in list(by_rule.values())[:SIGNALS_DRAWN]:
        bars = [Bar(e.first, e.last, f"bar-{e.kind}", _episode(c, e)) for e in of_rule]
        marks = [
            LaneMark(max(e.first, c.axis.first), _SEVERITY_SHAPES.get(e.kind, "dot"), f"mark-{e.kind}", _episode(c, e))
            for e in of_rule
        ]
        drawn.append(ChartLane(c.w.title(of_rule[0].signal), bars, marks))
    if not drawn:
        return None
    label = c.t("account.signals.label", count=len(shown))
    heads = [c.t(f"account.signals.{name}") for name in ("signal", "severity", "first", "last", "ended")]
    rows = [
        [
            c.w.title(each.signal),
            c.t("signals.one_expansion") if each.kind == "expansion" else c.w.severity(each.kind),
            c.day(each.first),
            c.day(each.last) if each.last else c.t("account.signals.open"),
            c.named("account.resolved", each.resolved) if each.resolved else "–",
        ]
        for each in shown
    ]
    kinds = [kind for kind in ("critical", "warning", "info", "expansion") if any(e.kind == kind for e in shown)]
    words = {kind: c.w.severity(kind) for kind in kinds} | {"expansion": c.t("signals.one_expansion")}
    legend = [(f"key-{kind}", words[kind]) for kind in kinds]
    return Panel("signals", lanes(c.axis, drawn, label, c.shades), TextTable(heads, rows), legend)


def _episode(c: PanelContext, each: happened.SignalEpisode) -> str:
    last = c.day(each.last) if each.last else c.t("account.signals.open")
    return f"{shortened(c.w.title(each.signal), LONGEST_TITLE)}: {c.day(each.first)} – {last}"


def events(c: PanelContext) -> Panel | None:
    """Return facts, milestones, answers, records, tickets and absences."""
    told: list[tuple[date, str, str]] = []
    marks: dict[str, list[LaneMark]] = {"facts": [], "milestones": [], "answers": [], "records": []}

    def mark(lane: str, on: date, shape: str, class_: str, kind: str, text: str, beside: str = "") -> None:
        told.append((on, kind, text))
        marks[lane].append(
            LaneMark(on, shape, class_, shortened(f"{c.day(on)}: {kind}. {text}", LONGEST_TITLE * 2), beside)
        )

    for each in happened.facts_changed(c.past):
        text = f"{c.fact(each.fact, each.before)} → {c.fact(each.fact, each.after)}"
        mark("facts", each.on, "diamond", "mark-fact", c.named("fact", each.fact), text)
    for on, name in happened.milestones(c.past):
        if on >= c.past.first:
            mark(
                "milestones",
                on,
                "flag",
                "mark-milestone",
                c.t("account.events.milestone"),
                c.named("milestone", name),
            )
    for on, day in happened.answers(c.past):
        mean, lowest = day.value("survey_mean"), day.value("lowest_answer")
        text = c.t("account.events.answer_text", mean=c.f.number(mean, 1), lowest=c.f.number(lowest))
        mark("answers", on, "dot", "mark-answer", c.t("account.events.answer"), text, c.f.number(mean, 1))
    for record in c.records:
        if record.kind != "absence":
            texts = [c.w.choice(text) for text in record.texts]
            text = " · ".join([*texts, record.author] if record.author else texts)
            mark(
                "records",
                record.on,
                _RECORD_SHAPES[record.kind],
                f"mark-{record.kind}",
                c.t(f"record.{record.kind}.name"),
                text,
            )
    drawn = [ChartLane(c.t(f"account.events.{name}"), (), found) for name, found in marks.items() if found]
    if (tickets := _tickets(c)) is not None:
        drawn.append(tickets)
    if c.away or c.holidays:
        drawn.append(_away_lane(c, told))
    if not drawn:
        return None
    table = TextTable(
        [c.t("account.day"), c.t("account.events.what"), c.t("account.events.detail")],
        [[c.day(on), kind, shortened(text, 500)] for on, kind, text in sorted(told, reverse=True)],
    )
    label = c.t("account.events.label", count=len(told))
    legend = [
        (f"key-{kind}", c.t(f"record.{kind}.name"))
        for kind in _RECORD_SHAPES
        if any(each.kind == kind for each in c.records)
    ]
    return Panel("events", lanes(c.axis, drawn, label, c.shades), table, legend)


def _tickets(c: PanelContext) -> ChartLane | None:
    bars: list[Bar] = []
    begun: date | None = None
    most = 0.0
    for day in c.past.days:
        count = day.value("tickets_open") or 0
        if count and begun is None:
            begun, most = day.on, count
        most = max(most, count)
        if begun is not None and not count:
            bars.append(_ticket(c, begun, day.on, most))
            begun, most = None, 0.0
    if begun is not None:
        bars.append(_ticket(c, begun, None, most))
    return ChartLane(c.t("account.events.tickets"), bars) if bars else None


def _ticket(c: PanelContext, first: date, last: date | None, most: float) -> Bar:
    until = c.day(last) if last else c.t("account.signals.open")
    title = c.t("account.events.open_tickets", count=round(most), first=c.day(first), last=until)
    return Bar(first, last, "bar-tickets many" if most >= _MANY_TICKETS else "bar-tickets", title)


def _away_lane(c: PanelContext, told: list[tuple[date, str, str]]) -> ChartLane:
    kind, bars = c.t("account.events.absence"), []
    for first, last in c.away:
        text = f"{c.day(first)} – {c.day(last)}"
        told.append((first, kind, text))
        bars.append(Bar(first, last, "bar-away", f"{kind}: {text}"))
    for day in c.holidays:
        holiday = c.t("account.events.holiday")
        told.append((day, holiday, ""))
        bars.append(Bar(day, day, "bar-away", f"{holiday}: {c.day(day)}"))
    return ChartLane(c.t("account.events.away"), bars)
