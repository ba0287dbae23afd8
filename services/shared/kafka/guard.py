"""
Keeps the broker from outliving whoever started it.

Runs a command and ends it when standard input closes, which happens however the parent ends, SIGKILL
included; and when this process itself is killed, Linux ends the command. Uses the standard library alone and
is run as a file, isolated, so that it costs 20 ms.

    python -I -S guard.py PIDFILE COMMAND...
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1
_STOP_WITHIN_S = 20.0


def die_with_parent(with_signal: int = signal.SIGKILL) -> None:
    """Ask Linux to send this process a signal when its parent's starting thread ends; elsewhere do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, with_signal)


def main(argv: list[str]) -> int:
    """Run the command until it ends or standard input closes; return its exit status."""
    pid_file, command = argv[0], argv[1:]
    # The parent decides when to stop: Ctrl-C in its terminal reaches this group as well.
    os.setpgid(0, 0)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)  # noqa: PLW1509  one thread
    with open(pid_file, "w") as file:  # noqa: PTH123  pathlib would double the time to start
        file.write(str(child.pid))

    def stop(_signal: int, _frame: FrameType | None) -> None:
        child.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while child.poll() is None:
        readable, _, _ = select.select([0], [], [], 0.2)
        if readable and not os.read(0, 1):
            child.terminate()
            try:
                return child.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                child.kill()
                return child.wait()
    return child.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
