"""
Who acts in an event: a person, an agent that acts for people, or an integration.

The first of these that says it holds: the event itself (`context.actor`), the plan of its name, the plan of its user, the
write key that it was sent with. What nothing says is of a person, if it has a user; without one it is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Actor = Literal["person", "agent", "integration"]
"""As plans, write keys and events name it."""

UNSAID = "UNKNOWN"
SYMBOLS: tuple[str, ...] = (UNSAID, "PERSON", "AGENT", "INTEGRATION")
"""As the event record has it, by number; 0: nothing says who acts."""
NUMBERS: Mapping[Any, int] = {None: 0, "": 0, "person": 1, "agent": 2, "integration": 3}
"""Numbers of the words."""


def number_said(context: Mapping[str, Any] | None) -> int | None:
    """Return the number of the actor that an event's context names, 0: it names none; None: it is no word for one."""
    if not context:
        return 0
    said = context.get("actor")
    if said is None:
        return 0
    return NUMBERS.get(said) if type(said) is str else None
