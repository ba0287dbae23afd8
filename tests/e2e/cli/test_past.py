"""The past comes in once, through the commands that people use; the demo shows signals and starts quickly again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.shared.kafka.embedded.free_ports import free_port
from services.shared.units import DAY_S
from tests.support.commands import command_line, run_command
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ROWS, DAYS = 600, 10


def told(data: Path, *arguments: str, status: int = 0) -> Any:
    """Run a command of the tool and return the JSON that it prints."""
    done = run_command(*arguments, "--json", "--data", str(data))
    assert done.exit_code == status, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the data folder of a running stack with an empty log."""
    data = tmp_path_factory.mktemp("past") / "data"
    output = data.parent / "out"
    process = subprocess.Popen(
        command_line("dev", "--port", str(free_port(4)), "--data", str(data)),
        stdout=output.open("w"),
        stderr=subprocess.STDOUT,
    )
    try:
        wait_until(
            lambda: "Tidemark is ready" in output.read_text() or process.poll() is not None, 120, output.read_text
        )
        assert process.poll() is None, output.read_text()
        yield data
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


@pytest.fixture(scope="module")
def commits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten days of events of seven accounts, up to yesterday."""
    today = int(time.time()) // DAY_S
    lines = [
        f"{(today - DAYS) * DAY_S + number * (DAYS * DAY_S // ROWS)},a{number % 7},u{number % 5}"
        for number in range(ROWS)
    ]
    path = tmp_path_factory.mktemp("file") / "commits.csv"
    path.write_text("ts,acct,who\n" + "\n".join(lines) + "\n")
    return path


def backfill_of(file: Path) -> list[str]:
    """Return the arguments for the file of these tests."""
    columns = ("--account", "acct", "--user", "who", "--time", "ts", "--time-format", "seconds", "--source", "git")
    return ["backfill", str(file), *columns]


@pytest.mark.long
def test_a_killed_backfill_goes_on_and_a_finished_one_adds_nothing(stack: Path, commits: Path) -> None:
    killed = subprocess.Popen(
        command_line(*backfill_of(commits), "--json", "--data", str(stack)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while killed.poll() is None and told(stack, "ledger", status=0)[0]["accepted"] < ROWS // 6:
        assert time.monotonic() < deadline
    killed.kill()
    killed.wait()

    finished = told(stack, *backfill_of(commits))[0]
    again = told(stack, *backfill_of(commits))[0]

    assert (finished["mode"], finished["rows"], finished["rejected"]) == ("driven", ROWS, 0)
    assert again["resumed_at"] == again["rows"] == ROWS
    ledger = told(stack, "ledger", "--settle", "60")[0]
    assert (ledger["closes"], ledger["accepted"], ledger["applied"]) == (True, ROWS, ROWS)


def test_a_second_file_enters_the_live_log_as_late(stack: Path, commits: Path, tmp_path: Path) -> None:
    told(stack, *backfill_of(commits))
    late = tmp_path / "late.csv"
    late.write_text(f"ts,acct,who\n{int(time.time()) - 3 * DAY_S},a1,newcomer\n1300000000,a1,newcomer\n")

    entered = told(stack, *backfill_of(late))[0]

    assert (entered["mode"], entered["accepted"]) == ("late", 2)
    ledger = told(stack, "ledger", "--settle", "60")[0]
    assert (ledger["closes"], ledger["too_late"]) == (True, 1)


def test_account_facts_reach_the_accounts_health(stack: Path, commits: Path, tmp_path: Path) -> None:
    told(stack, *backfill_of(commits))
    file = tmp_path / "accounts.csv"
    file.write_text("account,name,owner,seats\na2,Acme,Nora,12\na3,Globex,,many\n")

    sent = told(stack, "accounts", "import", str(file), status=1)[0]

    assert sent["accepted"] == 1
    assert sent["problems"] == ["line 3: column 'seats': 'many' is not a number"]
    warehouse = _warehouse(stack)

    def facts_now() -> dict[str, Any]:
        found = httpx.get(f"{warehouse}/v1/accounts/a2").json()
        return dict((found.get("health") or found).get("facts", {}))

    wait_until(lambda: facts_now().get("seats") == 12, 60, lambda: str(facts_now()))
    facts = facts_now()
    assert (facts["name"], facts["owner"]) == ("Acme", "Nora")


def _warehouse(data: Path) -> str:
    return str(json.loads((data / "status.json").read_text())["addresses"]["warehouse"])


def test_signals_can_be_listed_at_any_time(stack: Path) -> None:
    assert isinstance(told(stack, "signals", "tail", "--once"), list)


@pytest.mark.long
def test_the_demo_shows_a_signal_live_and_starts_again_with_what_it_has(tmp_path: Path) -> None:
    data, port = tmp_path / "demo", free_port(4)
    command = command_line("demo", "--data", str(data), "--port", str(port), "--weeks", "1")

    first = until("A low survey answer", command, after="Now live", within_s=150)
    second = subprocess.run([*command, "--stop-after", "1"], capture_output=True, text=True, timeout=200, check=False)

    assert "went through ingest" in first
    assert second.returncode == 0, second.stderr
    assert "from an earlier start" in second.stdout


def until(expected: str, command: list[str], *, after: str, within_s: float) -> str:
    """Run a command until it prints `expected` behind `after`, interrupt it, and return what it printed."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    printed: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        bound = threading.Timer(within_s, process.send_signal, [signal.SIGINT])
        bound.start()
        try:
            for line in process.stdout or ():
                printed.append(line)
                if expected in "".join(printed).partition(after)[2]:
                    process.send_signal(signal.SIGINT)
                    break
            printed += process.stdout or ()
        finally:
            bound.cancel()
    text = "".join(printed)
    assert expected in text.partition(after)[2], text
    return text
