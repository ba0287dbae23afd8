"""
What traffic looks like: names, and of each property its types and how often it is there.

Bounded in memory whatever is sent: of further names and properties only the number is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from services.cli.plan.observed import NoCall, Observed
from services.shared.tracking_plan.plan import PropertyPlan, PropertyType, TrackingPlan, plain
from services.shared.tracking_plan.property_checks import MAX_ROLE
from services.shared.tracking_plan.traffic import TrafficPlan
from services.shared.tracking_plan.values import MAX_ID, check_of

MAX_NAMES, MAX_PROPERTIES, MAX_LENGTH = 5_000, 200, 200
"""Names of events, properties of each, and characters of either."""
ROLE = "role"
"""The trait of an identify call that is taken to be the person's role."""
LEAST_FOR_REQUIRED = 10
"""Events of a name that must have been seen before a property that all of them have is taken to be required."""

_ID_NAME = re.compile(r"(^|[_\-. ])(id|Id|ID)$|[a-z]I[dD]$")
_PERSONAL_NAME = re.compile(
    r"e-?mail|phone|mobile|(first|last|full|middle|sur|given|family|user|display|nick)[_\- ]?name|birth|avatar|passw"
    r"|(^|[_\-. ])(ip|ssn|iban|street|address|gender|lat|lng|latitude|longitude)($|[_\-. ])",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}\.[^\s@.]{2,63}")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_is_date = check_of(PropertyPlan(type="date"))[1]
_is_number = check_of(PropertyPlan(type="number"))[1]
_VOLATILE_PART = re.compile(r".*\d.*|.{25,}")


class PropertySeen:
    """One property of one event."""

    __slots__ = ("count", "no_id", "personal", "types")

    def __init__(self) -> None:
        self.count = 0
        """Events that have it."""
        self.types: set[PropertyType | None] = set()
        self.personal = False
        self.no_id = False
        """Whether a value of it cannot be an id."""

    def add(self, value: Any) -> None:
        """Look at one value, not null; who adds it counts the event."""
        type_ = _type_of(value)
        self.types.add(type_)
        self.no_id |= not _is_id(value)
        if isinstance(value, str):
            self.personal = self.personal or bool(_ADDRESS.fullmatch(value.strip()))

    def type(self, name: str) -> PropertyType | None:
        """Return the narrowest type that all values have, None if there is none."""
        types = self.types
        if _ID_NAME.search(name) and not self.no_id:
            return "id"
        if types <= {"whole_number", "number"}:
            return "number" if "number" in types else "whole_number"
        if types == {"text", "date"}:
            return "text"
        return next(iter(types)) if len(types) == 1 else None


class EventSeen:
    """All events of one name."""

    __slots__ = ("count", "from_browser", "left_out", "name", "properties", "unreadable")

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.properties: dict[str, PropertySeen] = {}
        self.left_out = 0
        """Properties that were too many, or that have names nobody could declare."""
        self.unreadable = False
        """Whether what the known plan says that it means could not be read from one of them."""
        self.from_browser = False
        """Whether a browser sent one of them."""

    def add(self, properties: Iterable[tuple[str, Any]]) -> None:
        """Look at one event."""
        self.count += 1
        counted: set[str] = set()  # of traits, several may have one name in lower case
        for name, value in properties:
            if value is None:
                continue
            seen = self.properties.get(name)
            if seen is None:
                if len(self.properties) >= MAX_PROPERTIES or not 0 < len(name) <= MAX_LENGTH or name != name.strip():
                    self.left_out += 1
                    continue
                seen = self.properties[name] = PropertySeen()
            seen.add(value)
            if name not in counted:
                counted.add(name)
                seen.count += 1

    def is_required(self, name: str) -> bool:
        """Return whether every event has a property, and there were enough to say so."""
        return self.properties[name].count == self.count >= LEAST_FOR_REQUIRED


def is_personal(name: str, seen: PropertySeen) -> bool:
    """Return whether a property seems to say something of a person: by its name, or since it holds addresses."""
    return seen.personal or bool(_PERSONAL_NAME.search(name))


class Traffic:
    """All events that were looked at."""

    def __init__(self, known: TrackingPlan) -> None:
        """Take a plan of usual names."""
        self.known = known
        self._known = TrafficPlan(known)
        self._facts = {name.lower(): check_of(trait) for name, trait in known.group_traits.items() if trait.means}
        self.unfit: set[str] = set()
        """Group traits that set a fact in the known plan, of which a value was seen that cannot."""
        self.count = 0
        self.events: dict[str, EventSeen] = {}
        """By plain name."""
        self.group = EventSeen("group")
        self.identify = EventSeen("identify")
        self.roles: dict[str, int] = {}
        """By role, in lower case: in how many identify calls."""
        self.paths: dict[str, int] = {}
        """Patterns of paths of pages."""
        self.unreadable = 0
        self.unnamed = 0
        """Events whose names are too many or too long for a plan."""

    def add(self, observed: Observed | NoCall) -> None:
        """Look at one event, or count what is none."""
        if isinstance(observed, NoCall):
            self.unreadable += 1
            return
        self.count += 1
        kind, name, path, properties, beside = observed
        if kind == "TRACK":
            event = self._event(name)
            if event is not None:
                event.add(properties.items())
                event.unreadable |= self._known.unreadable(kind, name, properties, beside)
                event.from_browser |= beside.from_browser
        elif kind in ("GROUP", "IDENTIFY"):
            traits = [(trait.lower(), value) for trait, value in properties.items()]
            if kind == "GROUP":
                self.unfit |= {trait for trait, value in traits if not self._sets_a_fact(trait, value)}
            else:
                self._note_role(dict(traits).get(ROLE))
            (self.group if kind == "GROUP" else self.identify).add(traits)
        elif kind == "PAGE" and path:
            pattern = pattern_of(path)
            if pattern and (pattern in self.paths or len(self.paths) < MAX_NAMES):
                self.paths[pattern] = self.paths.get(pattern, 0) + 1

    def only_servers_send(self, event: EventSeen) -> bool:
        """Return whether the known plan takes an event from servers alone, and no browser sent it."""
        return not event.from_browser and self._known.server_only("TRACK", event.name, {}) is not None

    def _sets_a_fact(self, trait: str, value: Any) -> bool:
        """Return whether a value has the type of its fact in the known plan, if there is either."""
        if value is None or trait not in self._facts:
            return True
        types, fits = self._facts[trait]
        return type(value) in types or fits(value)

    def _note_role(self, said: Any) -> None:
        role = said.strip().lower() if isinstance(said, str) else ""
        if 0 < len(role) <= MAX_ROLE and (role in self.roles or len(self.roles) < MAX_NAMES):
            self.roles[role] = self.roles.get(role, 0) + 1

    def _event(self, name: str) -> EventSeen | None:
        key = plain(name)
        event = self.events.get(key)
        if event is None:
            if not key or len(name) > MAX_LENGTH or len(self.events) >= MAX_NAMES:
                self.unnamed += 1
                return None
            event = self.events[key] = EventSeen(" ".join(name.split()))
        return event


def pattern_of(path: str) -> str:
    """Return a path with `*` for each part that seems to be an id; empty if it is no path of a page."""
    path = path.partition("?")[0].partition("#")[0].rstrip("/")
    parts = path.split("/")[1:]
    if not path:
        return "/"
    if not path.startswith("/") or len(parts) > 8 or any(not part or re.search(r"[*\s]", part) for part in parts):
        return ""
    return "/" + "/".join("*" if _VOLATILE_PART.fullmatch(part) else part for part in parts)


def _is_id(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and 0 < len(value) <= MAX_ID)


def _type_of(value: Any) -> PropertyType | None:
    """Return the narrowest type of a value; None for a number that is too large for all of them."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)) and not _is_number(value):
        return None
    if isinstance(value, int):
        return "whole_number"
    if isinstance(value, float):
        return "whole_number" if value.is_integer() else "number"
    if isinstance(value, str):
        return "date" if _ISO_DATE.match(value) and _is_date(value) else "text"
    return "list" if isinstance(value, list) else "object"
