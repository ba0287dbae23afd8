"""What comes from events reaches a terminal as text: it moves no cursor, begins no line and turns no direction."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import typer
from rich.console import Console

from services.backtest.report.contents import ReportPart, Section, Table
from services.backtest.words import speech
from services.cli.commands import accounts, backtest, erase, plan, signals, tail
from services.cli.explaining.printing import print_health
from services.cli.held import Held
from services.cli.terminal import on_one_line, printable, tell_json, tell_lines
from services.ingest.domain.arrivals import Arrival
from tests.contract.warehouse.stored import example
from tests.support.commands import command_line

HOSTILE = "Acme\x1b]0;owned\x07\x1b[2J\x1b[1;1H\x9b31m\u202e\r\n2026-01-01 CRITICAL all is lost"
ACTED_ON = set("\x1b\x07\x9b\u202e\r")


def is_harmless(said: str) -> bool:
    """Return whether nothing acts on a terminal, and no line begins with what a name has after its line break."""
    return not ACTED_ON & set(said) and not any(line.startswith("2026-01-01 CRITICAL") for line in said.split("\n"))


def test_what_a_terminal_acts_on_is_shown() -> None:
    assert printable("a\x1b[2J\t\x9b\u202e\U000e0001\nb") == "a\\x1b[2J\\x09\\x9b\\u202e\\U000e0001\nb"
    assert on_one_line("a\r\nb\u2028c\x85d") == "a b c d"


@pytest.mark.parametrize(
    "text", ["Müller \u2013 “Söhne”", "1\u202f234\u00a0€", "日本", "👩\u200d🔧", "می\u200cخواهم", ""]
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert on_one_line(text) == text


def test_json_reads_as_the_same_value_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    tell_json({HOSTILE: [HOSTILE, "Müller"]})

    said = capsys.readouterr().out
    assert json.loads(said) == {HOSTILE: [HOSTILE, "Müller"]}
    assert is_harmless(said)
    assert said.count("\n") == 1


def test_signals_are_text() -> None:
    signal = example(
        "signal/examples/usage_decline_firing.json", account_name=HOSTILE, owner=HOSTILE, title=HOSTILE, summary=HOSTILE
    )
    console = Console(soft_wrap=True, highlight=False, width=200)

    with console.capture() as shown:
        console.print(signals.in_words(signal))

    assert is_harmless(shown.get())
    assert "Acme\\x1b]0;owned" in shown.get()


def test_events_are_text() -> None:
    said = dict.fromkeys(("name", "account", "user", "source", "id", "environment"), HOSTILE)
    accepted = Arrival(verdict="accepted", at=0, kind="track", **said)
    rejected = Arrival(verdict="rejected", at=0, source="web", id="m", code="wrong_type", field=HOSTILE, detail=HOSTILE)

    for arrival in (accepted, rejected):
        assert is_harmless(tail.in_words(arrival).plain)
        assert "\n" not in tail.in_words(arrival).plain


def test_held_accounts_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    tell_lines(signals.held_in_words(Held(HOSTILE, HOSTILE, "away", ("usage_silent",), ())))

    said = capsys.readouterr().out
    assert is_harmless(said)
    assert said.count("\n") == 2


def test_explanations_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    told: dict[str, Any] = {
        "account": HOSTILE, "facts": {"name": HOSTILE}, "previous_score": None, "day": "2026-01-01", "at": "", "score": 1.0,
        "band": "RED", "stage": "ONGOING", "coverage": 1.0, "model_version": "1", "records": 1, "log_begins_at": "", "partition": 0,
        "complete": True, "published": "yes", "dimensions": {}, "computed_from": {"facts.owner": HOSTILE}, "dates": {}, "held": "",
        "signals": [{"severity": "WARNING", "rule": "r", "since": "", "summary": HOSTILE}], "left_out": [HOSTILE],
        "unread": HOSTILE, "instead": HOSTILE,
    }  # fmt: skip

    print_health(told)

    assert is_harmless(capsys.readouterr().out)


def test_a_back_test_is_text_on_the_screen_and_in_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(("account", "days"), [(HOSTILE, "1")])
    part = ReportPart(HOSTILE, [HOSTILE], [Section("Lost", [HOSTILE], table)], cast(Any, None))
    file = tmp_path / "report.md"

    backtest._report([part], [], speech("en"), short=False, markdown=None, html=None)
    backtest._report([part], [], speech("en"), short=False, markdown=file, html=None)

    assert not ACTED_ON & set(file.read_text("utf-8"))
    assert not ACTED_ON & set(capsys.readouterr().out)


def test_what_is_left_out_of_a_file_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        accounts._tell("done", {}, [f"line 3: {HOSTILE} has another account above"], json=False)

    assert is_harmless(capsys.readouterr().out)


def test_accounts_and_linked_ids_of_a_person_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    erase._show("u_1", {"rows": {"events": 1}, "accounts": [HOSTILE], "linked": [HOSTILE], "others": [HOSTILE]})

    assert is_harmless(capsys.readouterr().err)


def test_names_that_no_plan_declares_are_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = tmp_path / "events.ndjson"
    events.write_text(json.dumps({"type": "track", "event": HOSTILE, "userId": "u"}) + "\n")

    with pytest.raises(typer.Exit):
        plan.check(events=events)
    plan.infer(events=events)

    assert is_harmless(capsys.readouterr().out)


def test_errors_are_text() -> None:
    words = ["explain", "acme", "--at", HOSTILE]

    ran = subprocess.run(command_line(*words), capture_output=True, text=True, check=False)

    assert "give a day such as 2027-03-31" in ran.stderr
    assert not ACTED_ON & set(ran.stderr)
