"""What `tidemark dev` does about signals."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from services.cli.commands.dev import interrupt_on_signals

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
