"""Back-tests that readers start and stop, as commands that take their time to end."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.console.backtests import BacktestRun, Backtests
from tests.support.waiting import until

LEISURELY = """
import os, signal, sys, time

def end(number, frame):
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.01)
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
print(os.getpid(), file=sys.stderr, flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def may_end(tmp_path: Path) -> Path:
    return tmp_path / "may end"


@pytest.fixture
def backtests(may_end: Path) -> Iterator[Backtests]:
    made = Backtests(str(may_end), (sys.executable, "-c", LEISURELY))
    yield made
    if made.latest is not None and made.latest.process is not None and made.latest.process.returncode is None:
        made.latest.process.kill()


async def test_one_that_is_started_while_another_still_ends_waits_for_it_and_can_be_stopped(
    backtests: Backtests, may_end: Path
) -> None:
    first = await begun(backtests)
    backtests.stop()
    assert backtests.start(b"", "", "Ann", "en")
    second = backtests.latest
    assert second is not None
    assert second.process is None, "one at a time"

    may_end.touch()
    await until(lambda: second.told)
    assert not is_there(first)

    backtests.stop()
    await until(lambda: not is_there(second))
    assert second.state == "stopped"


async def test_one_that_is_stopped_before_it_begins_never_does(backtests: Backtests, may_end: Path) -> None:
    await begun(backtests)
    backtests.stop()
    backtests.start(b"", "", "Ann", "en")
    never = backtests.latest
    backtests.stop()
    backtests.start(b"", "", "Ann", "en")
    may_end.touch()
    last = backtests.latest
    assert last is not None
    await until(lambda: last.told)

    assert never is not None
    assert never.process is None
    backtests.stop()
    await until(lambda: not is_there(last))


async def begun(backtests: Backtests) -> BacktestRun:
    assert backtests.start(b"", "", "Ann", "en")
    run = backtests.latest
    assert run is not None
    await until(lambda: run.told)
    return run


def is_there(run: BacktestRun) -> bool:
    try:
        os.kill(int(run.told[0]), 0)
    except ProcessLookupError:
        return False
    return True
