"""Traffic compared with a tracking plan: what breaks it, how often, what it does not name, and what never came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from services.cli.plan.observed import NoCall, Observed
from services.shared.counts import counted
from services.shared.tracking_plan.plan import TrackingPlan, plain, role_trait
from services.shared.tracking_plan.traffic import TrafficPlan

MAX_NAMES = 5_000
MAX_LINES = 10
SHOWN = 20


class Break(NamedTuple):
    """One way in which events break the plan."""

    event: str
    code: str
    field: str


class PlanComparison:
    """What was seen of a plan."""

    def __init__(self, plan: TrackingPlan) -> None:
        """Compare with a plan that was checked."""
        self._plan = plan
        self._traffic = TrafficPlan(plan)
        self.one_in = 1
        """One event in so many was looked at: what is counted is the sample."""
        self.count = 0
        self.broken = 0
        """Events that break the plan in any way."""
        self.unreadable = 0
        self.unreadable_lines: list[int] = []
        """Where the first ones are: up to one more than are named, to know whether there are more."""
        self.seen: dict[str, int] = {}
        """By the plan's own name, or `group` and `identify`."""
        self.unknown: dict[str, int] = {}
        """Events that the plan does not name."""
        self._role_trait = (role_trait(plan) or "").lower()
        self.roles: dict[str, int] = {}
        """By role as it was sent, without regard to case: in how many identify calls."""
        self.breaks: dict[Break, int] = {}
        self.details: dict[Break, str] = {}

    def add(self, observed: Observed | NoCall) -> None:
        """Look at one event, or count what is none."""
        if isinstance(observed, NoCall):
            self.unreadable += 1
            if len(self.unreadable_lines) <= MAX_LINES and observed.line not in self.unreadable_lines:
                self.unreadable_lines.append(observed.line)
            return
        self.count += 1
        kind, name, path, properties, beside = observed
        if kind == "PAGE":
            name = self._traffic.page_name(path) or name
        called = self._traffic.named(kind, name)
        if called:
            self.seen[called] = self.seen.get(called, 0) + 1
        elif kind == "TRACK" and (name in self.unknown or len(self.unknown) < MAX_NAMES):
            self.unknown[name] = self.unknown.get(name, 0) + 1
        if kind == "IDENTIFY" and self._role_trait:
            self._note_role(properties)
        found = self._traffic.violations(kind, name, properties, beside)
        if beside.from_browser and (held := self._traffic.server_only(kind, name, properties)):
            found = [held, *found]
        self.broken += bool(found)
        for each in found:
            # An event that the plan does not name is one way of breaking it, however many names there are.
            way = Break(called, each.code, each.field)
            self.breaks[way] = self.breaks.get(way, 0) + 1
            self.details.setdefault(way, each.detail)

    def _note_role(self, traits: Mapping[str, Any]) -> None:
        said = next((value for trait, value in traits.items() if trait.lower() == self._role_trait), None)
        role = said.strip().lower() if isinstance(said, str) else ""
        if role and (role in self.roles or len(self.roles) < MAX_NAMES):
            self.roles[role] = self.roles.get(role, 0) + 1

    @property
    def other_roles(self) -> dict[str, int]:
        """Roles that came and are not told apart, the most frequent first."""
        listed = {role.lower() for role in self._plan.roles}
        others = ((role, count) for role, count in self.roles.items() if role not in listed)
        return dict(sorted(others, key=lambda each: (-each[1], each[0])))

    @property
    def roles_never_came(self) -> list[str]:
        """The plan's roles that nobody had."""
        return [role for role in self._plan.roles if role.lower() not in self.roles]

    @property
    def never_came(self) -> list[str]:
        """The plan's events of which there was none."""
        return [name for name in self._plan.events if name not in self.seen]

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "events": self.count,
            "one_in": self.one_in,
            "broken": self.broken,
            "unreadable": self.unreadable,
            "unreadable_lines": self.unreadable_lines[:MAX_LINES],
            "breaks": [
                {**way._asdict(), "events": count, "of": self.seen.get(way.event, count), "detail": self.details[way]}
                for way, count in self._often_first()
            ],
            "unknown": dict(sorted(self.unknown.items(), key=lambda each: -each[1])),
            "never_came": self.never_came,
            "other_roles": self.other_roles,
            "roles_never_came": self.roles_never_came,
        }

    def lines(self) -> list[str]:
        """Return it for people."""
        compared = counted(self.count, "event was compared", "events were compared")
        said = [f"{compared}; {counted(self.broken, 'breaks', 'break')} the plan"]
        if self.one_in > 1:
            said.append(f"a sample, one event in {self.one_in:,}: all counts are of the sample; --most takes more")
        if not self.count:
            said[0] = "there was no event to compare"
        if self.unreadable:
            where = ", ".join(map(str, self.unreadable_lines[:MAX_LINES]))
            where += " ..." if len(self.unreadable_lines) > MAX_LINES else ""
            more = counted(self.unreadable, "more is no call", "more are no calls")
            said.append(f"BAD  {more} in Segment's format: line {where}")
        for way, count in self._often_first():
            event = way.event or "(not in the plan)"
            of = self.seen.get(way.event, count)
            said.append(f"BAD  {event}: {way.field}: {self.details[way]} ({way.code}; {count:,} of {of:,})")
        if self.unknown:
            said.append(f"not in the plan: {_some(f'{name} ({count:,})' for name, count in self._unknown_first())}")
        where = "in the sample" if self.one_in > 1 else "seen"
        if self.never_came:
            said.append(f"in the plan and not {where}: {_some(iter(self.never_came))}")
        if self.other_roles:
            others = _some(f"{role} ({count:,})" for role, count in self.other_roles.items())
            said.append(f"roles that the plan does not list, all taken as one: {others}")
        if self.roles_never_came:
            said.append(f"roles in the plan and not {where}: {_some(iter(self.roles_never_came))}")
        return said

    def _often_first(self) -> list[tuple[Break, int]]:
        return sorted(self.breaks.items(), key=lambda each: (-each[1], each[0]))

    def _unknown_first(self) -> list[tuple[str, int]]:
        # Names that differ only in what does not count are one.
        merged: dict[str, tuple[str, int]] = {}
        for name, count in self.unknown.items():
            first, before = merged.get(plain(name), (name, 0))
            merged[plain(name)] = (first, before + count)
        return sorted(merged.values(), key=lambda each: (-each[1], each[0]))


def _some(names: Any) -> str:
    found = list(names)
    more = len(found) - SHOWN
    return ", ".join(found[:SHOWN]) + (f" and {more} more" if more > 0 else "")
