"""Files of driven histories: what is in one comes back, and what is none is driven anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.backtest.driving import kept
from services.backtest.driving.lane import Span
from services.backtest.driving.scoring import Scored
from services.backtest.driving.snapshots import SHARDS, Snapshots

SCORED = Scored(Span(10, 13), ["acme", "globex"], np.array([[0, 1, 2], [3, 0, 1]], np.uint16), {"too_late": 2}, 7)
FRAMES = [[b"frame %d" % shard, b""] if shard % 2 else [] for shard in range(SHARDS)]


def test_what_was_kept_comes_back_under_its_key_alone(tmp_path: Path) -> None:
    file = tmp_path / "past" / "a.snapshots"
    kept.save(file, "key", SCORED, Snapshots(FRAMES))

    found = kept.load(file, "key")

    assert found is not None
    assert found[1].shards == FRAMES
    assert found[0].activity.tolist() == SCORED.activity.tolist()
    assert found[0]._replace(activity=SCORED.activity) == SCORED
    assert kept.load(file, "other") is None
    assert [path.name for path in file.parent.iterdir()] == ["a.snapshots"]


@pytest.mark.parametrize("left", [0, 4, 8, 30, -1])
def test_a_file_of_which_the_end_is_missing_is_none(tmp_path: Path, left: int) -> None:
    file = tmp_path / "a.snapshots"
    kept.save(file, "key", SCORED, Snapshots(FRAMES))
    file.write_bytes(file.read_bytes()[:left])

    assert kept.load(file, "key") is None


@pytest.mark.parametrize("content", [b"\xff" * 40, b"PK\x03\x04 something else altogether"])
def test_a_file_of_something_else_is_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.snapshots"
    file.write_bytes(content)

    assert kept.load(file, "key") is None
