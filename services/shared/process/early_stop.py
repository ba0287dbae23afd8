"""
What a service does about a signal before it has begun, and after it has ended.

To import what a service needs takes a second or more. Until `lifecycle.stop_event` takes over, the signals that ask a
service to stop end it at once with status 0: it has done nothing yet that would have to be finished. Without this a
supervisor that starts and stops a service at once would see it killed by a signal, as if it had crashed. Imports nothing
heavy, since it is imported first.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The signals that ask a service to stop; SIGHUP comes from a terminal that closes."""


def end_at_once() -> None:
    """Let the signals that ask a service to stop end this process with status 0, until something else takes them."""
    if "--check-config" in sys.argv:  # status 0 would say that the configuration is good
        return
    for number in wanted():
        signal.signal(number, _end)


def end_as_interrupted() -> None:
    """Let Ctrl-C end this process at once with the status of a shell's, until `interruptible` gives it its usual effect back."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it was started to take no notice of it
        signal.signal(signal.SIGINT, _interrupted)


def interruptible() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from now on: what is imported can end in order."""
    if signal.getsignal(signal.SIGINT) is _interrupted:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def wanted() -> list[signal.Signals]:
    """Return the signals that ask this process to stop: not SIGHUP where it was started with nohup."""
    under_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in STOPS if number != signal.SIGHUP or not under_nohup]


def end_undisturbed() -> None:
    """Ignore them from now on: the end has begun, and its status says why."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    os._exit(128 + signal.SIGINT)


def _end(_signal: int, _frame: FrameType | None) -> None:
    # Not by an exception: in the middle of an import, a library may catch that and go on without what it imports.
    os._exit(0)
