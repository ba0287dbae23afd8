"""Explanations for people in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.cli.explaining.reading import Explained
from services.cli.held import iso
from services.cli.terminal import tell_lines
from services.shared.counts import counted


def print_health(told: dict[str, Any]) -> None:
    """Print what was known of an account."""
    tell_lines(_health(told))


def print_rule(found: Explained, told: dict[str, Any]) -> None:
    """Print why a rule did or did not fire."""
    tell_lines(_rule(found, told))


def _health(told: dict[str, Any]) -> Iterator[str]:
    before = "" if told["previous_score"] is None else f", {told['previous_score']:g} before"
    name = told["facts"].get("name")
    yield f"{name} ({told['account']})" if name else str(told["account"])
    yield f"as of the close of {told['day']} (UTC), judged at {told['at']}"
    if told["instead"]:
        yield told["instead"]
    yield f"health {told['score']:g} of 100{before}, band {told['band']}, stage {told['stage']}, coverage {told['coverage']:.0%}"
    yield f"model {told['model_version']}; {counted(told['records'], 'record')} since {told['log_begins_at']}, partition {told['partition']}"
    if not told["complete"]:
        yield "retention has taken the oldest records: what they said is not known here"
    yield f"published: {told['published']}"
    for dimension, place in told["dimensions"].items():
        yield ""
        scored = dimension == "silence_cap" or any("contribution" in each for each in place["measures"].values())
        yield f"{dimension}: {place['points']:g} points ({place['change']:+g})" if scored else dimension
        for measure, entry in place["measures"].items():
            yield _measure(measure, entry)
    yield ""
    yield "computed from"
    for need, text in told["computed_from"].items():
        yield f"  {need:26} {text}"
    if told["dates"]:
        yield ""
        yield "dates: " + ", ".join(f"{date_of} {day}" for date_of, day in told["dates"].items())
    yield ""
    if told["held"]:
        yield told["held"]
    for signal in told["signals"]:
        yield f"open: {signal['severity']} {signal['rule']} since {signal['since']}: {signal['summary']}"
    if not told["signals"]:
        yield "no signal is open"
    for letter in told["left_out"]:
        yield f"left out of what the account sent: {letter}"
    yield from _unread(told["unread"])


def _measure(measure: str, entry: dict[str, Any]) -> str:
    line = f"  {measure:26} {entry['words']:>14}"
    if "contribution" in entry:
        line += f"   {entry['contribution']:g} points ({entry['change']:+g}): {entry['points']} of 100, weight {entry['weight']:.0%}"
    return f"{line}   from {', '.join(entry['from'])}" if entry["from"] else line


def _rule(found: Explained, told: dict[str, Any]) -> Iterator[str]:
    yield f"{told['rule']} for {found.account}, as of the close of {iso(found.day)} (UTC): {told['verdict']}"
    if found.instead:
        yield found.instead
    for transition in told["transitions"]:
        why = f" ({transition['reason']})" if transition["reason"] else ""
        yield f"  {transition['at']}  {transition['transition']} {transition['severity']}{why}"
    yield f"looked at: {counted(told['days'], 'day')}, {counted(told['judged'], 'judgement')}"
    yield "it fires when"
    yield from _tree(told["fires"], 1)
    yield f"  {told['for']}; in these days {told['longest']}"
    for title, nodes in (("not while", told["unless"]), ("held while", told["hold"])):
        if nodes:
            yield title
            for node in nodes:
                yield from _tree(node, 1)
    yield from (f"kept back: {text}" for text in told["kept_back"])
    nearest = told["nearest_day"]
    if nearest is not None:
        lacking = (
            f"{nearest['missing']} missing: {'; '.join(nearest['conditions'])}" if nearest["missing"] else "all hold"
        )
        yield f"nearest day: {nearest['day']}, {lacking}"
    yield from _unread(told["unread"])


def _unread(place: str) -> Iterator[str]:
    if place:
        yield f"the log cannot be read from {place} on: what is there is not in this, and the scorer stands there as well"


def _tree(node: dict[str, Any], depth: int) -> Iterator[str]:
    blank = "  " * depth
    mark = "yes" if node["holds"] else "no "
    for kind, title in (("all", "all of"), ("any", "any of")):
        if kind in node:
            yield f"{blank}{mark} {title}"
            for part in node[kind]:
                yield from _tree(part, depth + 1)
            return
    line = f"{blank}{mark} {node['condition']}: {node['words']}; true on {counted(node['held_on'], 'day')}"
    if "closest" in node:
        line += f"; closest: {node['closest']['words']}, on {node['closest']['day']}"
    yield line
