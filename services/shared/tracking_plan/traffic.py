"""
A tracking plan as it is asked of every event: what breaks it, what may stay on the log, what a page is called.

All is compiled once. An event that the plan does not name costs one look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from services.shared.tracking_plan.actors import NUMBERS
from services.shared.tracking_plan.page_paths import PagePaths
from services.shared.tracking_plan.plan import (
    EventPlan,
    PropertyPlan,
    TrackingPlan,
    fingerprint,
    plain,
    words,
)
from services.shared.tracking_plan.state_names import (
    ABSENCE_FROM,
    ABSENCE_SCOPE,
    ABSENCE_TO,
    ABSENCE_WITHDRAWN,
    PLANNED_ABSENCES,
    SCOPES,
)
from services.shared.tracking_plan.state_values import Faults, faults_of
from services.shared.tracking_plan.values import check_of, wrong

_REMEMBERED_NAMES = 20_000
"""How many names of events, and as many of pages, are remembered: 25 MB at the most."""
_REMEMBERED_CHARS = 128
"""The longest name that is remembered; what a longer one stands for is looked up each time."""
_NONE: frozenset[str] = frozenset()
_ID = PropertyPlan(type="id")
_SCORE = PropertyPlan(type="whole_number")
_ABSENCE = {
    ABSENCE_FROM: PropertyPlan(type="date", required=True),
    ABSENCE_TO: PropertyPlan(type="date"),
    ABSENCE_SCOPE: PropertyPlan(one_of=list(SCOPES), required=True),
    ABSENCE_WITHDRAWN: PropertyPlan(type="boolean"),
}


class Violation(NamedTuple):
    """What breaks the plan in one event."""

    code: str
    """plan_missing_property, plan_wrong_type, plan_wrong_value or plan_unknown_event."""
    field: str
    """Path of the field, such as `properties.ticket_id`."""
    detail: str
    """A sentence for the sender: what to send."""


class Beside(NamedTuple):
    """What is known of an event beside its name and properties."""

    actor: int | None = 0
    """The number of the actor that it names (actors.py); None: what it says is no word for one."""
    has_user: bool = True
    day: int | None = None
    """On which it was received, days since 1970 UTC; None: not known."""


_NOTHING_BESIDE = Beside()
_NO_ACTOR = Violation("plan_wrong_value", "context.actor", "send person, agent or integration, in lower case")


class _Compiled:
    """What is asked of the properties of one event, or of the traits of a call."""

    __slots__ = ("actor", "clear", "faults", "fields", "folded", "holder", "name", "required")

    def __init__(
        self,
        name: str,
        properties: Mapping[str, PropertyPlan],
        holder: str = "properties",
        *,
        folded: bool = False,
        actor: int = 0,
        faults: Sequence[Faults] = (),
    ) -> None:
        self.name = name
        self.actor = actor
        self.faults = faults
        self.holder = holder
        self.folded = folded
        """Whether names are compared without regard to case, as those of traits are."""
        named = {name.lower() if folded else name: value for name, value in properties.items()}
        self.clear = frozenset(name for name, value in named.items() if not value.personal)
        self.fields = [(name, *check_of(value), value) for name, value in named.items()]
        self.required = any(value.required for value in named.values())

    def violations(self, properties: Mapping[str, Any], beside: Beside) -> list[Violation]:
        found: list[Violation] = []
        if self.folded:
            if not (properties or self.required):
                return found
            properties = _folded(properties)
        for name, right, is_right, plan in self.fields:
            value = properties.get(name)
            if type(value) in right:
                continue
            if value is None:
                if plan.required:
                    detail = f"{name} is missing; the tracking plan requires it"
                    found.append(Violation("plan_missing_property", f"{self.holder}.{name}", detail))
                continue
            for each in value.values if type(value) is _Several else (value,):
                if type(each) not in right and not is_right(each):
                    code, detail = wrong(each, plan)
                    found.append(Violation(code, f"{self.holder}.{name}", detail))
                    break
        return self._with_faults(found, properties, beside) if self.faults else found

    def _with_faults(self, found: list[Violation], properties: Mapping[str, Any], beside: Beside) -> list[Violation]:
        """Add what state cannot be read from, unless something else is wrong with the same property."""
        told = {each.field for each in found}
        for faults in self.faults:
            for name, detail in faults(properties, beside.has_user, beside.day):
                field = f"{self.holder}.{name}"
                if field not in told:
                    missing = properties.get(name) is None
                    found.append(Violation("plan_missing_property" if missing else "plan_wrong_value", field, detail))
        return found


def _users(given: Sequence[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the user ids of a list, and the endings that it gives after a `*`."""
    return (
        frozenset(user for user in given if not user.startswith("*")),
        tuple(user[1:] for user in given if user.startswith("*")),
    )


class _Several(NamedTuple):
    """The values of names that differ in case alone: each of them is judged, since each stays on the log."""

    values: list[Any]


def _folded(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties by their names in lower case; null is not there."""
    found: dict[str, Any] = {}
    for name, value in properties.items():
        if value is None:
            continue
        small = name.lower()
        before = found.get(small)
        if before is None:
            found[small] = value
        elif type(before) is _Several:
            before.values.append(value)
        else:
            found[small] = _Several([before, value])
    return found


class TrafficPlan:
    """One plan, ready for traffic. It remembers the names that it was asked for, a bounded number of them."""

    __slots__ = (
        "_agents", "_endings", "_events", "_group", "_identify", "_known", "_known_pages", "_page_paths", "_pages",
        "_refuses_unknown", "_users", "fingerprint",
    )  # fmt: skip

    def __init__(self, plan: TrackingPlan) -> None:
        """Compile a plan that was checked."""
        self.fingerprint = fingerprint(plan)
        self._events, self._pages = (
            {
                plain(name): _Compiled(
                    name, _properties(plan, event), actor=NUMBERS[event.actor], faults=faults_of(plan, event)
                )
                for name, event in named.items()
            }
            for named in (plan.events, plan.pages)
        )
        self._group = _Compiled("group", plan.group_traits, "traits", folded=True)
        self._identify = _Compiled("identify", plan.identify_traits, "traits", folded=True)
        self._known: dict[str, _Compiled | None] = {}
        self._known_pages: dict[str, _Compiled | None] = {}
        self._page_paths = PagePaths((name, path) for name, page in plan.pages.items() for path in page.paths)
        self._refuses_unknown = plan.unknown_events == "reject"
        self._users, self._endings = _users(plan.excluded_users)
        self._agents = _users(plan.agent_users)

    def clear_properties(self, kind: str, name: str) -> frozenset[str]:
        """
        Return the names of the properties of an event that the plan names and that are not personal.

        Of a GROUP or IDENTIFY they are names of traits in lower case, to be compared with those sent in lower case.
        """
        compiled = self._of(kind, name)
        return _NONE if compiled is None else compiled.clear

    def violations(
        self, kind: str, name: str, properties: Mapping[str, Any], beside: Beside = _NOTHING_BESIDE
    ) -> list[Violation]:
        """
        Return what breaks the plan in an event.

        Args:
            kind: As the event record has it: TRACK, PAGE, SCREEN, GROUP, IDENTIFY, ...
            name: Of the event or page.
            properties: Decoded; the traits of a GROUP or IDENTIFY.
            beside: What else is known of it.
        """
        compiled = self._of(kind, name)
        found: list[Violation] = []
        if compiled is not None:
            found = compiled.violations(properties, beside)
        elif self._refuses_unknown and kind == "TRACK":
            detail = "the tracking plan does not name this event; add it there"
            found = [Violation("plan_unknown_event", "event", detail)]
        if beside.actor is None:
            found.append(_NO_ACTOR)
        return found

    def unreadable(self, kind: str, name: str, properties: Mapping[str, Any], beside: Beside) -> bool:
        """Return whether what an event means cannot be read from its properties; arguments as of `violations`."""
        compiled = self._of(kind, name)
        return compiled is not None and any(
            faults(properties, beside.has_user, beside.day) for faults in compiled.faults
        )

    def named(self, kind: str, name: str) -> str:
        """Return what the plan calls an event, page or screen; empty if it does not name it. Calls with traits: their kind."""
        compiled = self._of(kind, name)
        return "" if compiled is None else compiled.name

    def leaves_out(self, user: str) -> bool:
        """Return whether what this user does counts for nothing: staff, tests, monitoring."""
        return user in self._users or (bool(self._endings) and user.endswith(self._endings))

    def actor_of_name(self, kind: str, name: str) -> int:
        """Return the number of who acts in all events of a name (actors.py), 0: the plan does not say."""
        compiled = self._of(kind, name)
        return 0 if compiled is None else compiled.actor

    def actor_of(self, kind: str, name: str, user: str) -> int:
        """Return the number of who acts in an event of a user by its name, else by its user, 0: the plan does not say."""
        return self.actor_of_name(kind, name) or (self.actor_of_user(user) if user else 0)

    def actor_of_user(self, user: str) -> int:
        """Return the number of what a user is, 0: the plan does not say."""
        users, endings = self._agents
        return NUMBERS["agent"] if user in users or (bool(endings) and user.endswith(endings)) else 0

    def page_name(self, path: str) -> str:
        """Return the plan's name of the page at a path, empty if it has none."""
        return self._page_paths.name(path)

    def _of(self, kind: str, name: str) -> _Compiled | None:
        if kind == "TRACK":
            known, events = self._known, self._events
        elif kind in {"PAGE", "SCREEN"}:
            known, events = self._known_pages, self._pages
        elif kind == "GROUP":
            return self._group
        else:
            return self._identify if kind == "IDENTIFY" else None
        try:
            return known[name]
        except KeyError:
            compiled = events.get(plain(name))
            if len(known) < _REMEMBERED_NAMES and len(name) <= _REMEMBERED_CHARS:
                known[name] = compiled
            return compiled


def _properties(plan: TrackingPlan, event: EventPlan) -> dict[str, PropertyPlan]:
    """Return the properties of an event, with those that cases and answers are read from: what needs them requires them."""
    found = dict(event.properties)
    for word in words(event):
        kind, _, rest = word.partition(".")
        if kind == "cases":
            name, implied = plan.cases[rest.rpartition(".")[0]].id, _ID
        elif kind == "answers":
            name, implied = plan.answers[rest].score, _SCORE
        elif word == PLANNED_ABSENCES:
            found |= {name: found.get(name, implied) for name, implied in _ABSENCE.items()}
            continue
        else:
            continue
        found[name] = msgspec.structs.replace(found.get(name, implied), required=True)
    return found
