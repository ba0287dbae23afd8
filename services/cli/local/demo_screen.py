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
    """
    Prints signals in the order that they come: those of the past first, then `live`, then those of now.

    The past goes on for a moment: with the first events of today the day before is closed, and signals come of that.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = False

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
                self._print(signal)

    def live(self) -> None:
        """Say, once, that the past is over."""
        if not self._live:
            self._live = True
            self._console.print("Now live: signals are shown as they fire.\n", style="bold")

    def show(self, signal: dict[str, Any]) -> None:
        """Print a new signal in full; the first that is not of the past is live."""
        if not signal["historical"]:
            self.live()
        self._print(signal)

    def _print(self, signal: dict[str, Any]) -> None:
        self._console.print(in_words(signal), soft_wrap=True)
        self._console.print()
