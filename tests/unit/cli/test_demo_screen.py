"""What the viewer of the demo sees is said in the order in which it is true."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from services.cli.local.demo_screen import Screen


def signal(title: str, *, historical: bool) -> dict[str, Any]:
    return {
        "at": 0, "transition": "FIRING", "category": "RISK", "severity": "WARNING", "rule": "usage_drop",
        "account": "acme", "account_name": "", "title": title, "resolved_reason": "", "historical": historical,
        "summary": "", "action": "", "owner": "", "revenue": None, "renewal_day": None, "score_tenths": 0,
        "band": "UNKNOWN",
    }  # fmt: skip


def lines(printed: io.StringIO) -> list[str]:
    marks = ("Before", "Yesterday", "Now live", "Today")
    return [mark for text in printed.getvalue().splitlines() for mark in marks if mark in text]


def test_what_comes_late_of_the_past_is_shown_before_it_is_said_that_signals_are_live() -> None:
    printed = io.StringIO()
    screen = Screen(Console(file=printed, width=200))

    screen.past([signal("Before", historical=True)])
    screen.show(signal("Yesterday", historical=True))
    screen.show(signal("Today", historical=False))
    screen.live()

    assert lines(printed) == ["Before", "Yesterday", "Now live", "Today"]


def test_it_is_said_once_that_signals_are_live_where_none_comes() -> None:
    printed = io.StringIO()
    screen = Screen(Console(file=printed, width=200))

    screen.past([])
    screen.live()
    screen.live()

    assert lines(printed) == ["Now live"]
