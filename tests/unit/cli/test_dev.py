"""What `tidemark dev` does about signals, and what it says of a full disk."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.cli.commands.dev import interrupt_on_signals, tell_until, telling
from services.cli.local.stack import Stack
from tests.support.waiting import wait_until

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _same_handlers_afterwards() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("first", STOPS)
def test_who_asks_twice_before_all_is_ready_does_not_cut_short_the_end_of_what_runs(first: signal.Signals) -> None:
    """Or the prompt would be back while the broker still has its files and ports."""
    interrupt_on_signals()

    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(first)

    for number in STOPS:
        signal.raise_signal(number)


def test_a_full_disk_is_said_in_one_line_each_time_that_it_gets_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    room = [2**30, 0, 0, 2**30, 0]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room.pop(0)))
    monkeypatch.setattr(Stack, "failed", lambda _: None)

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return not room

    tell_until(Stop(), Stack(tmp_path))

    line = f"the disk of {tmp_path} is full: make room; what ends is started again\n"
    assert capsys.readouterr().err == line * 2


def test_a_demo_says_while_it_works_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    monkeypatch.setattr(Stack, "failed", lambda _: None)
    told: list[str] = []

    def said() -> bool:
        told.append(capsys.readouterr().err)
        return "is full" in "".join(told)

    with telling(Stack(tmp_path)):
        wait_until(said, 10)

    assert "".join(told) == f"the disk of {tmp_path} is full: make room; what ends is started again\n"
