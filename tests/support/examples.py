"""
How many examples a test of properties makes up.

Few in each run, others in each, so that all runs together see many; `make soak` makes up many in one.
"""

from __future__ import annotations

import os

_TIMES = int(os.environ.get("TIDEMARK_SOAK", "1"))


def examples(count: int) -> int:
    """Return the number for this run, of the one for a run of all tests."""
    return count * _TIMES
