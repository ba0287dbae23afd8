"""A tracking plan drafted from traffic, as a YAML file with comments on how often everything was seen."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from services.cli.plan.inferring import ROLE, EventSeen, Traffic, is_personal
from services.shared.counts import counted
from services.shared.tracking_plan.checks import MAX_ROLES
from services.shared.tracking_plan.plan import TrackingPlan, plain, words
from services.shared.tracking_plan.reading import read_plan
from services.shared.tracking_plan.state_names import ABSENCE_FROM, ABSENCE_SCOPE, OTHER

MOST_EVENTS, MOST_PAGES = 300, 40
"""A plan of more names is nobody's agreement: the rarest are left out."""
_LEAST_OF_A_PAGE = 5
_SIMPLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*( [A-Za-z0-9_]+)*")
_RESERVED = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})

Config = dict[str, Any]


def draft(traffic: Traffic) -> str:
    """Return a plan file that this traffic keeps; what the plan of usual names says of them is taken over."""
    events = sorted(traffic.events.values(), key=lambda event: (-event.count, event.name))
    config: Config = {
        "events": {event.name: _event(event, traffic) for event in events[:MOST_EVENTS]},
        "pages": _pages(traffic),
        "group_traits": _properties(traffic.group),
        "identify_traits": _properties(traffic.identify, personal=("name",)),
    }
    for meant, part, name, declared in _additions(traffic.known):
        if part == "group_traits" and meant.keys() & traffic.unfit:
            continue
        read_from = _READ_FROM[part](declared) if part in _READ_FROM else ()
        if all(_always_has(traffic, event, each) for event in meant for each in read_from):
            config = _with(config, meant, part, name, declared)
    _tell_roles_apart(config, traffic)
    read_plan(config)
    return "\n".join(_lines(config, traffic, len(events) - MOST_EVENTS)) + "\n"


def _event(event: EventSeen, traffic: Traffic) -> Config:
    said: Config = {"client": "server"} if traffic.only_servers_send(event) else {}
    return said | {"properties": _properties(event)}


def _properties(event: EventSeen, personal: tuple[str, ...] = ()) -> Config:
    """Return the properties of an event, those that are most often there first."""
    found: Config = {}
    for name, seen in sorted(event.properties.items(), key=lambda each: (-each[1].count, each[0])):
        type_ = seen.type(name)
        said: Config = {"type": type_} if type_ is not None else {}
        if event.is_required(name):
            said["required"] = True
        if name in personal or is_personal(name, seen):
            said["personal"] = True
        found[name] = said
    return found


def _pages(traffic: Traffic) -> Config:
    patterns = sorted(traffic.paths, key=lambda pattern: (-traffic.paths[pattern], pattern))
    found: Config = {}
    for pattern in patterns[:MOST_PAGES]:
        if traffic.paths[pattern] >= _LEAST_OF_A_PAGE:
            name = _page_name(pattern)
            if plain(name) and all(plain(name) != plain(other) for other in found):
                found[name] = {"paths": [pattern]}
    return found


def _page_name(pattern: str) -> str:
    parts = [part for part in pattern.split("/") if part and part != "*"]
    named = " ".join(parts) or "home"
    return f"one of {named}" if pattern.endswith("*") else named


def _additions(known: TrackingPlan) -> Iterator[tuple[dict[str, str], str, str, Any]]:
    """Yield what a known plan says: means by plain event name, or of one trait, and what has to be declared for it."""
    of_state: dict[str, dict[str, str]] = {}
    for name, event in known.events.items():
        for word in words(event):
            kind, _, rest = word.partition(".")
            key = f"cases.{rest.rpartition('.')[0]}" if kind == "cases" else f"{word} {name}"
            of_state.setdefault(key, {})[plain(name)] = word
        if event.means == "ignored":
            of_state[f"ignored {name}"] = {plain(name): "ignored"}
    for key, meant in of_state.items():
        kind, _, rest = key.partition(" ")[0].partition(".")
        declared: Config | None = None
        if kind == "cases":
            declared = {"id": known.cases[rest].id}
        elif kind == "answers":
            declared = {"score": known.answers[rest].score, "scale": list(known.answers[rest].scale)}
        yield meant, kind, rest, declared
    for name, trait in known.group_traits.items():
        if trait.means:
            yield {name.lower(): trait.means}, "group_traits", "", trait.type


_READ_FROM: Mapping[str, Callable[[Any], tuple[str, ...]]] = {
    "cases": lambda declared: (declared["id"],),
    "answers": lambda declared: (declared["score"],),
    "absences": lambda _: (ABSENCE_FROM, ABSENCE_SCOPE),
}
"""The properties that what an event means is read from, and so are required, by what it means."""


def _always_has(traffic: Traffic, event: str, name: str) -> bool:
    """Return whether each event of a name has a property, of one type, from which what it means can be read."""
    seen = traffic.events.get(event)
    field = seen.properties.get(name) if seen else None
    return (
        seen is not None
        and not seen.unreadable
        and field is not None
        and field.count == seen.count
        and field.type(name) is not None
    )


def _with(config: Config, meant: Mapping[str, str], part: str, name: str, declared: Any) -> Config:
    """Return the plan with an addition, or as it is where the addition does not fit what was seen."""
    of_traits = part == "group_traits"
    if not meant.keys() <= {
        name if of_traits else plain(name) for name in config["group_traits" if of_traits else "events"]
    }:
        return config
    changed = copy.deepcopy(config)
    if of_traits:
        for trait, word in meant.items():
            changed[part][trait] |= {"type": declared, "means": word}
            changed[part][trait].pop("personal", None)
    else:
        by_name = {plain(event): said for event, said in changed["events"].items()}
        for event, word in meant.items():
            said = by_name[event]
            said["means"] = word if word == "ignored" else [*said.get("means", []), word]
    if declared is not None and not of_traits:
        changed.setdefault(part, {})[name] = declared
    try:
        read_plan(changed)
    except ValueError:
        return config
    return changed


def _tell_roles_apart(config: Config, traffic: Traffic) -> None:
    """Have the trait `role` mean the role, where it is text that is not personal: without `roles` it would have no effect."""
    said = config["identify_traits"].get(ROLE, {})
    roles = sorted(traffic.roles.keys() - {OTHER}, key=lambda role: (-traffic.roles[role], role))[:MAX_ROLES]
    if said.get("type") == "text" and not said.get("personal") and roles:
        said["means"] = "role"
        config["roles"] = roles


def _lines(config: Config, traffic: Traffic, rarer: int) -> Iterator[str]:
    yield from _head(traffic, rarer)
    seen = {event.name: event for event in traffic.events.values()}
    if config["events"]:
        yield from ("", "events:")
    for name, event in config["events"].items():
        yield f"  {_scalar(name)}:  # {seen[name].count:,} seen"
        if "client" in event:
            yield f"    client: {event['client']}"
        if "means" in event:
            means = event["means"]
            yield "    means: " + (means if isinstance(means, str) else "[" + ", ".join(means) + "]")
        if event["properties"]:
            yield "    properties:"
            yield from _entries(event["properties"], seen[name], "      ")
    if config["pages"]:
        yield from ("", "pages:")
    for name, page in config["pages"].items():
        (path,) = page["paths"]
        yield f"  {_scalar(name)}: {{paths: [{_quoted(path)}]}}  # {traffic.paths[path]:,} seen"
    for part, of in (("group_traits", traffic.group), ("identify_traits", traffic.identify)):
        if config[part]:
            yield from ("", f"{part}:  # {counted(of.count, 'call')}")
            yield from _entries(config[part], of, "  ")
    yield from _roles(config.get("roles", []), traffic)
    for part in ("cases", "answers"):
        if config.get(part):
            yield from ("", yaml.safe_dump({part: config[part]}, default_flow_style=None, sort_keys=False).rstrip())


def _head(traffic: Traffic, rarer: int) -> Iterator[str]:
    yield f"# Drafted by `tidemark plan infer` from {counted(traffic.count, 'event')}. Read it as a proposal: types, `required` and"
    yield "# `personal` are guesses from what was seen. Say what events mean (docs/tracking-plan.md), and delete what is an accident."
    if traffic.unreadable:
        more = counted(
            traffic.unreadable,
            "more was no call in Segment's format, and was",
            "more were no calls in Segment's format, and were",
        )
        yield f"# {more} passed over."
    if traffic.unnamed or rarer > 0:
        names = counted(max(rarer, 0), "name that is rarer", "names that are rarer")
        events = counted(traffic.unnamed, "event", "events")
        yield f"# Left out: {names}, and {events} with names that are too many or too long."
        yield "# Names that hold ids or numbers are no names: send them as properties."


def _roles(roles: list[str], traffic: Traffic) -> Iterator[str]:
    more = len(traffic.roles.keys() - {OTHER}) - len(roles)
    rest = f"  # {counted(more, 'rarer one counts', 'rarer ones count')} as other" if more else ""
    if roles:
        yield from ("", f"roles: [{', '.join(map(_scalar, roles))}]{rest}")


def _entries(properties: Config, seen: EventSeen, indent: str) -> Iterator[str]:
    for name, said in properties.items():
        share = seen.properties[name].count / seen.count
        often = "" if share == 1 else f"  # in {share:.0%}" if share >= 0.01 else "  # in under 1%"
        fields = ", ".join(f"{field}: {'true' if value is True else value}" for field, value in said.items())
        yield f"{indent}{_scalar(name)}: {{{fields}}}{often}"


def _scalar(text: str) -> str:
    return text if _SIMPLE.fullmatch(text) and text.lower() not in _RESERVED else _quoted(text)


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9).strip()
