"""
The tracking plan: which event names mean what in this company's product.

Names are compared without regard to case, and with spaces, underscores and hyphens alike. What the plan does not
name is plain activity.
"""

from __future__ import annotations

import msgspec

ACTIVITY, VALUE, OPENED, CLOSED, ANSWER = range(5)
"""What an event does: plain activity, activity that delivers value, a ticket opens or closes, a survey is answered."""
_REMEMBERED_NAMES = 20_000


class TrackingPlan(msgspec.Struct, forbid_unknown_fields=True):
    """What the company's event names, ticket and survey properties and group traits mean."""

    value_events: list[str] = msgspec.field(
        default_factory=lambda: ["Value Delivered", "Report Shared", "Workflow Completed"]
    )
    ticket_opened: list[str] = msgspec.field(default_factory=lambda: ["Ticket Opened"])
    ticket_closed: list[str] = msgspec.field(default_factory=lambda: ["Ticket Closed"])
    ticket_id: str = "ticket_id"
    survey_answered: list[str] = msgspec.field(default_factory=lambda: ["NPS Submitted"])
    survey_score: str = "score"
    excluded_users: list[str] = []
    """User ids, or endings of user ids that start with '*' (such as '*@example.com'): staff, tests, monitoring."""
    traits: dict[str, str] = msgspec.field(
        default_factory=lambda: {
            "name": "name",
            "owner": "owner",
            "revenue": "revenue",
            "arr": "revenue",
            "seats": "seats",
            "plan": "plan",
            "contract_start": "contract_start_day",
            "renewal_date": "renewal_day",
            "parent": "parent",
        }
    )
    """Group trait to fact."""


def plain(name: str) -> str:
    """Return an event name without what does not count: case, spaces, underscores, hyphens."""
    return " ".join(name.replace("_", " ").replace("-", " ").lower().split())


class Roles:
    """The plan, ready to be asked for every event."""

    __slots__ = ("_cache", "_named", "excluded", "suffixes")

    def __init__(self, plan: TrackingPlan) -> None:
        """Prepare the plan; where a name stands in two lists the first of value, opened, closed, answered wins."""
        groups = (
            (plan.survey_answered, ANSWER),
            (plan.ticket_closed, CLOSED),
            (plan.ticket_opened, OPENED),
            (plan.value_events, VALUE),
        )
        self._named = {plain(name): role for names, role in groups for name in names}
        self._cache: dict[str, int] = {}
        self.excluded = frozenset(user for user in plan.excluded_users if not user.startswith("*"))
        self.suffixes = tuple(user[1:] for user in plan.excluded_users if user.startswith("*"))

    def role(self, name: str) -> int:
        """Return what a track event of this name does."""
        role = self._cache.get(name)
        if role is None:
            role = self._named.get(plain(name), ACTIVITY)
            if len(self._cache) < _REMEMBERED_NAMES:
                self._cache[name] = role
        return role

    @property
    def excludes(self) -> bool:
        """Whether any user is left out at all."""
        return bool(self.excluded or self.suffixes)

    def leaves_out(self, user: str) -> bool:
        """Tell whether this user's activity does not count."""
        return user in self.excluded or (bool(self.suffixes) and user.endswith(self.suffixes))
