"""
Start a program, but later and later where it keeps ending soon after its start.

supervisord paces what ends within some seconds of its start, but then forgets its exit status, and starts again what
asked not to be. So it takes every start for a good one, and this goes before: it waits, then becomes the program.

    python -I -S paced.py FILE COMMAND...

FILE has the time of the last start and the number of quick ends before it. The standard library alone: 20 ms.
"""

from __future__ import annotations

import os
import sys
import time

LIVED_S = 15.0
"""What ended sooner after its start is waited with: one second more each time, up to the longest wait."""
_LONGEST_S = 30


def quick_ends(file: str, now: float) -> int:
    """
    Return how many starts in a row were followed by a quick end; note that there is another start.

    Where that cannot be noted, the disk being full, every start has the longest wait.
    """
    try:
        with open(file) as kept:  # noqa: PTH123  pathlib would double the time to start
            started, ends = kept.read().split()
        quick = int(ends) + 1 if now - float(started) < LIVED_S + int(ends) else 0
    except (OSError, ValueError):
        quick = 0
    try:
        with open(file, "w") as kept:  # noqa: PTH123
            kept.write(f"{now} {quick}")
    except OSError:
        return _LONGEST_S
    return quick


def main(argv: list[str]) -> None:
    """Wait, then become the command."""
    time.sleep(min(_LONGEST_S, quick_ends(argv[0], time.time())))
    os.execvp(argv[1], argv[1:])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
