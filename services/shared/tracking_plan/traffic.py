"""
A tracking plan as it is asked of every event: what breaks it, what may stay on the log, what a page is called.

All is compiled once. An event that the plan does not name costs one look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.shared.tracking_plan.actors import NUMBERS
from services.shared.tracking_plan.event_check import Beside, EventCheck, Violation
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
from services.shared.tracking_plan.state_values import faults_of
from services.shared.tracking_plan.use import KINDS_OF_USE, is_use

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


_NOTHING_BESIDE = Beside()
_NO_ACTOR = Violation("plan_wrong_value", "context.actor", "send person, agent or integration, in lower case")


def _users(given: Sequence[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the user ids of a list, and the endings that it gives after a `*`."""
    return (
        frozenset(user for user in given if not user.startswith("*")),
        tuple(user[1:] for user in given if user.startswith("*")),
    )


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
                plain(name): EventCheck(
                    name,
                    _properties(plan, event),
                    event=event,
                    faults=faults_of(plan, event),
                )
                for name, event in named.items()
            }
            for named in (plan.events, plan.pages)
        )
        self._group = EventCheck("group", plan.group_traits, "traits", folded=True)
        self._identify = EventCheck("identify", plan.identify_traits, "traits", folded=True)
        self._known: dict[str, EventCheck | None] = {}
        self._known_pages: dict[str, EventCheck | None] = {}
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

    def server_only(self, kind: str, name: str, properties: Mapping[str, Any]) -> Violation | None:
        """Return what of an event only servers may send, None if anybody may send it; arguments as of `violations`."""
        compiled = self._of(kind, name)
        return None if compiled is None else compiled.server_only(kind, properties)

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

    def is_use(self, kind: str, name: str) -> bool:
        """Return whether an event is use of the product, as the scorer counts it; arguments as of `violations`."""
        if kind not in KINDS_OF_USE:
            return False
        compiled = self._of(kind, name)
        return is_use(None) if compiled is None else compiled.use

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

    def _of(self, kind: str, name: str) -> EventCheck | None:
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
