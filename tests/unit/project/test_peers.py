"""`make bench ARGS="--peers"`: what it asks for, and how it tells what it found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bench.figures import record
from tests.bench.ingest.peers import BAD, given, table


def test_without_a_binary_the_variable_is_named() -> None:
    with pytest.raises(SystemExit, match="set TIDEMARK_BENCH_JITSU to a binary"):
        given({})


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="TIDEMARK_BENCH_JITSU: .* is no program"):
        given({"TIDEMARK_BENCH_JITSU": str(tmp_path / "missing")})


def findings(name: str, cpu_us: float, kept: int, *, lost: int) -> list[dict[str, Any]]:
    costs = [
        {"of": "cost", "name": name, "size": size, "cpu_us": cpu_us * turn} for size in (1, 100) for turn in (1, 2)
    ]
    bad = {"of": "one bad", "name": name, "status": 200, "good_kept": kept, "bad_kept": False, "bad_named": True}
    return [
        *costs,
        *({**bad, "fault": fault} for fault in BAD),
        {"of": "killed", "name": name, "answered": 9, "lost": lost},
    ]


def test_ratios_are_those_of_neighbouring_rounds(tmp_path: Path) -> None:
    told = table([*findings("Tidemark", 100, 99, lost=0), *findings("Peer", 50, 0, lost=4)])

    ours, peer = told.splitlines()[2:]
    assert ours.count("150 (100 to 200)") == 2
    assert ours.endswith("| 200, 99 kept, the bad one named | 0 of 9 |")
    assert peer.count("0.50 (0.50 to 0.50)") == 2
    assert peer.endswith("| 200, none kept | 4 of 9 |")
    page = tmp_path / "page.md"
    page.write_text("before <!-- peers -->old<!-- end of peers --> after")
    record(page, "peers", told)
    assert page.read_text() == f"before <!-- peers -->\n{told}\n<!-- end of peers --> after"
