"""What `tidemark ledger` prints."""

from __future__ import annotations

from collections import Counter

import pytest

from services.cli.commands.ledger import _print
from services.cli.ledger_audit import Ledger


def test_it_says_how_many_different_events_were_rejected_and_how_often(capsys: pytest.CaptureFixture[str]) -> None:
    """`tidemark rejected list` lists each time, and both were called the same."""
    _print(Ledger([], [], 2, 935, Counter()))

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    apart = [line for line in lines if "rejected" in line]
    assert apart == ["apart: rejected by ingest, different events 2", "apart: how often these were rejected 937"]
