"""Where to look first in the console of the demo: five customers, each with the story that it lives through."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from typing import NamedTuple

from services.console.addresses import account_address
from services.simulator import Storyline, roster

LEAST_WEEKS = 30
"""With a shorter past the stories have hardly begun."""

_STORIES: Mapping[tuple[Storyline, int], str] = {
    (
        Storyline.SUDDEN_STOP,
        0,
    ): "Nobody comes any more. What was done about it, and what came back, is on the time axis.",
    (
        Storyline.SLOW_DECAY,
        0,
    ): "Use has slipped for twelve weeks, a little each. See when the score would have told you.",
    (Storyline.SEAT_LOSS, 0): "Most of its people left in one week. The list of people says who.",
    (Storyline.LONG_HOLIDAY, 0): "Three weeks without anybody, and no signal: it had announced that it would be away.",
    (Storyline.MOVED_TO_AGENTS, 0): "Its people are nearly gone, and still it is no decline: agents do their work now.",
}


class TourStop(NamedTuple):
    """One customer of the tour."""

    name: str
    address: str
    look: str
    """What to look at."""


def tour(seed: int, console: str) -> list[TourStop]:
    """Return the tour through the customers of a seed, for a console at an address."""
    found = {(each.storyline, each.shift): each for each in roster(seed)}
    return [
        TourStop(found[story].name, f"{console}{account_address(found[story].account)}", look)
        for story, look in _STORIES.items()
    ]


def has_desktop(environment: Mapping[str, str], platform: str) -> bool:
    """Return whether there is a desktop on which a browser can open a window."""
    if "SSH_CONNECTION" in environment:
        return False
    return platform == "darwin" or bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def open_browser(address: str) -> bool:
    """Open the console in a browser and return whether one was found; only for somebody at a terminal of a desktop."""
    if not (sys.stdout.isatty() and has_desktop(os.environ, sys.platform)):
        return False
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
