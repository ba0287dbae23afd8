"""What the plan says of one event, page or call with traits, compiled once, and what breaks it in one that was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from services.shared.tracking_plan.actors import NUMBERS
from services.shared.tracking_plan.plan import EventPlan, PropertyPlan, TraitPlan
from services.shared.tracking_plan.state_values import Faults
from services.shared.tracking_plan.use import is_use
from services.shared.tracking_plan.values import check_of, wrong

_SERVER_ONLY = "the tracking plan takes this from servers alone; send it with a write key that has client: server"


class Violation(NamedTuple):
    """What breaks the plan in one event."""

    code: str
    """plan_missing_property, plan_wrong_type, plan_wrong_value, plan_unknown_event or plan_server_only."""
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
    from_browser: bool = False
    """Whether it was sent with a write key that browsers hold, which is public."""


class EventCheck:
    """What is asked of the properties of one event, or of the traits of a call."""

    __slots__ = (
        "actor", "clear", "faults", "fields", "folded", "for_servers", "holder", "name", "traits_for_servers", "use",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        properties: Mapping[str, PropertyPlan],
        holder: str = "properties",
        *,
        folded: bool = False,
        event: EventPlan | None = None,
        faults: Sequence[Faults] = (),
    ) -> None:
        self.name = name
        self.for_servers = event is not None and event.client is not None
        """Whether only servers may send it."""
        self.traits_for_servers = frozenset(
            name.lower() for name, value in properties.items() if isinstance(value, TraitPlan) and value.client
        )
        self.actor = NUMBERS[event.actor if event else None]
        self.faults = faults
        self.use = event is not None and is_use(event)
        """Whether it is use of the product."""
        self.holder = holder
        self.folded = folded
        """Whether names are compared without regard to case, as those of traits are."""
        named = {name.lower() if folded else name: value for name, value in properties.items()}
        self.clear = frozenset(name for name, value in named.items() if not value.personal)
        self.fields = [(name, *check_of(value), value) for name, value in named.items()]

    def violations(self, properties: Mapping[str, Any], beside: Beside) -> list[Violation]:
        """Return what breaks the plan in the properties or traits of one that was sent."""
        found: list[Violation] = []
        if self.folded:
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

    def server_only(self, kind: str, properties: Mapping[str, Any]) -> Violation | None:
        """Return what of an event only servers may send, None if anybody may send it; `kind` as the event record has it."""
        if self.for_servers:
            detail = f"{_SERVER_ONLY}, or rename it"
            return Violation("plan_server_only", "event" if kind == "TRACK" else "name", detail)
        if self.traits_for_servers:
            for trait in properties:  # null too: it removes what a server has said
                if trait.lower() in self.traits_for_servers:
                    return Violation("plan_server_only", f"{self.holder}.{trait}", _SERVER_ONLY)
        return None

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
