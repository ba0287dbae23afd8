"""The two processes of a back-test: what they are given can go to them, and the end of one is the end of all."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from services.backfill.mapping import Mapping
from services.backtest.domain.history import BacktestHistory, Event
from services.backtest.driving import drive
from services.backtest.driving.scoring import LANES, lane_of
from services.backtest.generator import generate
from services.backtest.histories.event_file import read_event_file
from services.shared.errors import Fatal
from services.shared.units import DAY_MS

FIRST, DAYS = 19_700, 20


class Deadly(dict[str, int]):
    """Properties that end the process of the lane that looks at them; the other lane passes them over."""

    def __bool__(self) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True


def events(*accounts: str) -> Iterator[Event]:
    for day in range(DAYS):
        yield from (Event(account, "ann", (FIRST + day) * DAY_MS) for account in accounts)


def account_of(lane: int) -> str:
    return next(name for name in map(str, range(99)) if lane_of(name) == lane)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("lane", range(LANES))
def test_a_process_that_dies_ends_the_back_test_with_the_reason(lane: int) -> None:
    last = Event(account_of(lane), "ann", (FIRST + DAYS) * DAY_MS, properties=Deadly())
    history = BacktestHistory("deadly", partial(iter, [*events("acme", "globex"), last]), "deadly")

    with pytest.raises(Fatal, match="a process of the back-test has died: is there enough memory?"):
        drive(history, workers=2)

    assert not multiprocessing.active_children()


def test_a_history_is_the_same_in_another_process_however_that_is_started(tmp_path: Path) -> None:
    """Where processes are not forked, as with Python 3.14 and on a Mac, all that they are given is pickled."""
    file = tmp_path / "events.csv"
    file.write_text("account,user,timestamp\nacme,ann,2026-01-05\nacme,bob,2026-01-06\n")

    history, made_up = read_event_file(file, Mapping()), generate(7, 10, 420).events

    assert list(pickle.loads(pickle.dumps(history)).read()) == list(history.read())
    assert list(pickle.loads(pickle.dumps(made_up))) == list(made_up)
