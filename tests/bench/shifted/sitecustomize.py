"""
Put this folder on PYTHONPATH, and a Python process lives so many seconds in the past: TIDEMARK_BENCH_BEHIND_S.

Only what reads the wall clock is shifted; waiting and measuring go by the monotonic clock. The broker stays where it is:
of two clocks that disagree the earlier one is believed.
"""

import os
import time

_behind = float(os.environ.get("TIDEMARK_BENCH_BEHIND_S", "0"))
_time, _time_ns = time.time, time.time_ns

if _behind:
    time.time = lambda: _time() - _behind
    time.time_ns = lambda: _time_ns() - int(_behind * 1e9)
