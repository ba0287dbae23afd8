"""What the viewer of the demo sees of the signals: the open ones in short, each new one in full."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from services.cli.commands.signals import in_words
from services.shared.counts import counted

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_IN_FULL = 3


class Screen:
    """Prints signals in the order that they come: those from before the start first."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def past(self, signals: list[dict[str, Any]]) -> None:
        """Print a summary of the open signals, and the latest in full."""
        if not signals:
            self._console.print("No signal is open.")
        else:
            counts = Counter(signal["rule"] for signal in signals)
            listed = ", ".join(f"{rule} {count}" for rule, count in counts.most_common())
            self._console.print(
                f"{counted(len(signals), 'signal is', 'signals are')} open: {listed}. The latest:\n", style="bold"
            )
            for signal in signals[-SHOWN_IN_FULL:]:
                self.show(signal)
        self._console.print("Now live: signals are shown as they fire.\n", style="bold")

    def show(self, signal: dict[str, Any]) -> None:
        """Print one signal in full."""
        self._console.print(in_words(signal), soft_wrap=True)
        self._console.print()
