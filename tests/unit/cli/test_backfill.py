"""What a backfill says at its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.backfill.files import EventFile
from services.backfill.mapping import Mapping
from services.backfill.sender import IngestSender, Tally
from services.backfill.service import Mode, Outcome
from services.cli.commands import backfill
from services.shared.http.server import serving


@pytest.mark.parametrize("resumed_at", [0, 10])
def test_rows_that_were_left_out_are_counted(capsys: pytest.CaptureFixture[str], resumed_at: int) -> None:
    events = EventFile(Path("past.csv"), Mapping(), "0" * 64, 10, 3, 0, 1)

    backfill._tell(Outcome(Mode.DRIVEN, 10, resumed_at, 0, Tally(10 - resumed_at)), events, json=False)

    assert capsys.readouterr().out.startswith("past.csv: 3 malformed rows were left out\n")


def test_rows_that_were_too_old_to_be_counted_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    events = EventFile(Path("past.csv"), Mapping(), "0" * 64, 10, 0, 0, 1)
    outcome = Outcome(Mode.LATE, 10, 0, 0, Tally(10), too_late=7)

    backfill._tell(outcome, events, json=False)
    backfill._tell(outcome, events, json=True)

    words, told = capsys.readouterr().out.rsplit("\n", 2)[:2]
    assert "  7 rows were too old to be counted: what ingest accepted" in words
    assert json.loads(told)["too_late"] == 7


@pytest.mark.parametrize(
    ("mode", "meaning"),
    [
        (Mode.LATE, "the log had events already, whose clock goes on"),
        (Mode.DRIVEN, "they moved the clock through the past"),
    ],
)
def test_how_the_events_entered_the_log_is_said_with_what_it_means(
    capsys: pytest.CaptureFixture[str], mode: Mode, meaning: str
) -> None:
    events = EventFile(Path("past.csv"), Mapping(), "0" * 64, 10, 0, 0, 1)
    backfill._tell(Outcome(mode, 10, 0, 0, Tally(10)), events, json=False)

    assert f"0 rows had been sent before ({mode.value}: {meaning})" in capsys.readouterr().out


def test_a_run_that_is_stopped_says_what_it_had_sent_and_who_has_the_clock() -> None:
    """Else nobody is told: the next run says only what ingest answers to it."""
    tally = Tally(20, 3, 12, [f"made-{number}: wrong_type: properties" for number in range(12)])

    driven = list(backfill._stopped("past.csv", tally, Mode.DRIVEN))
    late = list(backfill._stopped("past.csv", tally, Mode.LATE))
    taken_over = list(backfill._stopped("past.csv", tally, None))

    assert driven[0] == "past.csv: stopped after 23 events accepted and 12 rejected"
    assert driven[1:3] == ["  rejected: made-0: wrong_type: properties", "  rejected: made-1: wrong_type: properties"]
    assert driven[11] == "  `tidemark rejected list` shows the others"
    assert driven[12] == "  run the same command again to go on"
    assert "`tidemark backfill --abandon` gives the clock back" in driven[13]
    assert (late, taken_over) == (driven[:13], driven[:12])


async def test_a_key_of_another_source_or_environment_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    async def batch(request: Request) -> Response:
        asked = json.loads(request.headers["Tidemark-Replay"])
        own = {"source": "git", "environment": "staging"}
        if any(asked.get(name, value) != value for name, value in own.items()):
            return JSONResponse({"code": "wrong_source"}, 403)
        return JSONResponse({"accepted": 0, "unattributed": 0, "rejected": 0, "results": []})

    async with (
        serving(Starlette(routes=[Route("/v1/batch", batch, methods=["POST"])]), "127.0.0.1", 0) as port,
        IngestSender(f"http://127.0.0.1:{port}", "key") as sender,
    ):
        await backfill._tell_key(sender, "past.csv", "git")
        assert capsys.readouterr().err.splitlines() == [
            "past.csv: the write key is of another environment than production: events are stored, and count for no score"
        ]
        await backfill._tell_key(sender, "past.csv", "svn")

    said = capsys.readouterr().err.splitlines()
    assert said[0] == "past.csv: the write key is of another source than --source svn: events carry that of the key"
    assert len(said) == 2
