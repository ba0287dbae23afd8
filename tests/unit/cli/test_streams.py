"""A command says what it has to say, wherever its output goes, and sends nothing where it does not belong."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from services.shared.ports import PORTS
from tests.support.commands import command_line

CALL = {"type": "track", "event": "Größe 日本 \U0001f6a2", "userId": "kim"}


def run(redirected: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell does that redirects its output."""
    return subprocess.run(
        ["sh", "-c", f"{shlex.join(command_line(*words))} {redirected}"],
        check=False, capture_output=True, text=True, env={**os.environ, **environment}, timeout=60,
    )  # fmt: skip


@pytest.fixture
def events(tmp_path: Path) -> str:
    """Return a file with one event that no plan names."""
    file = tmp_path / "events.ndjson"
    file.write_text(json.dumps(CALL) + "\n")
    return str(file)


@pytest.mark.parametrize("redirected", [">&-", "<&- >&- 2>&-"])
def test_closed_output_is_no_error(redirected: str) -> None:
    done = run(redirected, "rules", "list")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_meant_for_a_closed_standard_error_is_not_in_the_output() -> None:
    nothing_runs = {f"TIDEMARK_{name.upper()}_URL": "http://127.0.0.1:1" for name in PORTS}
    done = run("2>&-", "status", "--json", "--data", "/nowhere", **nothing_runs)

    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_json_is_the_same_where_the_output_is_not_utf8(events: str, encoding: str) -> None:
    done = run("", "plan", "check", "--json", "--events", events, PYTHONIOENCODING=encoding)

    assert json.loads(done.stdout)["unknown"] == {CALL["event"]: 1}


def test_a_name_that_the_terminal_has_no_characters_for_ends_no_command(events: str) -> None:
    done = run("", "plan", "check", "--events", events, PYTHONIOENCODING="ascii")

    assert "not in the plan: Gr\\xf6\\xdfe \\u65e5\\u672c \\U0001f6a2 (1)" in done.stdout
    assert not done.stderr


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()

    done = run("", "status", "--data", str(tmp_path))

    assert done.returncode == 2
    assert done.stderr == f"tidemark: {tmp_path / 'status.json'} cannot be used: Is a directory\n"
