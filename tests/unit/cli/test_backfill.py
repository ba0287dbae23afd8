"""What a backfill says at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.backfill.files import EventFile
from services.backfill.mapping import Mapping
from services.backfill.sender import Tally
from services.backfill.service import Mode, Outcome
from services.cli.commands import backfill


@pytest.mark.parametrize("resumed_at", [0, 10])
def test_rows_that_were_left_out_are_counted(capsys: pytest.CaptureFixture[str], resumed_at: int) -> None:
    events = EventFile(Path("past.csv"), Mapping(), "0" * 64, 10, 3, 0, 1)

    backfill._tell(Outcome(Mode.DRIVEN, 10, resumed_at, 0, Tally(10 - resumed_at)), events, json=False)

    assert capsys.readouterr().out.startswith("past.csv: 3 malformed rows were left out\n")
