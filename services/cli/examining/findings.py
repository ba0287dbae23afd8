"""What a look at something comes to."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from services.shared import exit_status
from services.shared.errors import TidemarkError

_Told = TypeVar("_Told")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    detail: str
    status: int = exit_status.FATAL
    """What the command ends with where this is not good; the highest of all counts."""


def judge(what: str, look: Callable[[], str]) -> Finding:
    """Look at something, and return what was found: its text, or why it is bad."""
    try:
        return Finding(what, good=True, detail=look())
    except (TidemarkError, OSError, subprocess.SubprocessError) as error:
        return Finding(what, good=False, detail=str(error))


class BrokerSilent(Exception):
    """A broker that the cluster names does not answer."""


def told(reading: Coroutine[Any, Any, _Told], within_s: float = 20.0) -> _Told:
    """
    Return what is read from the log; a partition that nobody leads would be waited for without end.

    Raises:
        BrokerSilent: it was not there in time.
    """
    try:
        return asyncio.run(asyncio.wait_for(reading, within_s))
    except TimeoutError as error:
        raise BrokerSilent(
            f"the log could not be read within {within_s:.0f} s: first fix what is reported above of kafka and the copies in sync, or,"
            " where these are good, below of scorer and alerter: an open transaction holds up all who read after it"
        ) from error
