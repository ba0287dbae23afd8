"""The tool's commands without a running stack."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from typer.testing import CliRunner

from schemas import formats
from services.cli.commands import keys, rules, status
from services.cli.local import write_keys
from services.cli.local.stack import Stack
from services.cli.local.stack_state import StackState, find, lock_file, read_state, write_state
from services.shared import exit_status
from services.shared.errors import ConfigurationError, Fatal
from services.shared.http.server import ops_routes
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.ports import PORTS
from services.shared.release import release
from tests.support.commands import command_line, run_tool

STOPPED = 1


def app_of(*modules: object) -> typer.Typer:
    """Return a tool with the commands of some modules."""
    app = typer.Typer()
    app.callback()(lambda: None)
    for module in modules:
        module.register(app)  # type: ignore[attr-defined]
    return app


@contextmanager
def state_in(data: Path) -> Iterator[StackState]:
    """Hold the folder of a stack of which nothing answers, on ports nobody serves."""
    state = StackState(
        live="http://127.0.0.1:8080/live#token=t",
        data=str(data), kafka="127.0.0.1:1", embedded=True, topic_prefix="p-", partitions=4, replication=1,
        addresses={"ingest": "http://127.0.0.1:1"}, write_keys_file=str(data / "keys.yaml"), write_key="k",
        backfill_key="b", supervisor=str(data / "socket"), pid=os.getpid(),
    )  # fmt: skip
    with lock_file(data).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_state(state)
        yield state


@pytest.fixture
def nothing_else_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide a Tidemark that runs on this machine, at the ports where services listen by default."""
    for name in PORTS:
        monkeypatch.setenv(f"TIDEMARK_{name.upper()}_URL", "http://127.0.0.1:1")


@pytest.mark.usefixtures("nothing_else_runs")
def test_a_stack_that_was_killed_is_not_taken_for_one_that_runs(tmp_path: Path) -> None:
    with state_in(tmp_path):
        assert read_state(tmp_path) is not None

    assert read_state(tmp_path) is None
    result = CliRunner().invoke(app_of(status), ["status", "--data", str(tmp_path)])
    assert "start `tidemark dev`" in str(result.exception)


@pytest.mark.parametrize("inside", ["", "further"])
def test_a_data_folder_that_cannot_be_made_is_a_wrong_argument(tmp_path: Path, inside: str) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")

    with pytest.raises(ConfigurationError, match=r"--data: .*/taken.* cannot be used .*name a folder where it may"):
        Stack(taken / inside).__enter__()


def test_status_tells_addresses_and_that_nothing_answers(tmp_path: Path) -> None:
    """Exit status 1, and JSON all the same."""
    with state_in(tmp_path):
        result = CliRunner().invoke(app_of(status), ["status", "--json", "--data", str(tmp_path)])

    facts = json.loads(result.stdout)
    assert result.exit_code == STOPPED
    assert facts["ready"] is False
    assert facts["addresses"] == {"ingest": "http://127.0.0.1:1"}
    assert facts["readiness"] == {"ingest": "the supervisor does not answer"}
    assert facts["topics"]["usage-events"] == "p-usage-events"


@pytest.mark.usefixtures("nothing_else_runs")
def test_status_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    """And names the folder that it looked in."""
    result = CliRunner().invoke(app_of(status), ["status", "--data", str(tmp_path)])

    assert isinstance(result.exception, Fatal)
    assert str(tmp_path) in str(result.exception)
    assert "tidemark dev" in str(result.exception)


@pytest.mark.usefixtures("nothing_else_runs")
def test_status_asks_services_that_were_started_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At their addresses; the rest does not answer."""
    app = Starlette(routes=ops_routes(CollectorRegistry(), lambda: "Kafka has not answered for 13 s"))
    config = uvicorn.Config(app, port=free_port(), log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    monkeypatch.setenv("TIDEMARK_SCORER_URL", f"http://127.0.0.1:{config.port}")
    while not server.started:
        time.sleep(0.01)

    result = CliRunner().invoke(app_of(status), ["status", "--json", "--data", str(tmp_path)])
    in_words = CliRunner().invoke(app_of(status), ["status", "--data", str(tmp_path)])
    server.should_exit = True
    thread.join()

    facts = json.loads(result.stdout)
    assert result.exit_code == STOPPED
    assert facts["readiness"]["scorer"] == "Kafka has not answered for 13 s"
    assert facts["readiness"]["ingest"] == "it does not answer"
    assert facts["formats"]["scorer"] == {"written": formats.DEFAULT, "read": formats.NEWEST}
    assert "ingest" not in facts["formats"]
    assert facts["releases"] == {"scorer": release()}
    assert f"release    {release()} is run by scorer" in in_words.stdout
    said = f"formats    level {formats.DEFAULT} is written, and up to {formats.NEWEST} read, by scorer"
    assert said in in_words.stdout


def test_the_tool_says_which_release_it_is(project_root: Path) -> None:
    told = tomllib.loads((project_root / "pyproject.toml").read_text())["project"]["version"]
    command = command_line("--version")

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == f"tidemark {told}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("command", ["--version", "--help"])
def test_a_full_disk_under_what_is_printed_is_said_in_one_line(command: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command_line(command),
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "the disk is full" in done.stderr


@pytest.mark.parametrize("command", [["ledger"], ["signals", "tail", "--once"]])
def test_commands_that_need_a_cluster_say_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """Without a stack, and with a cluster that does not answer."""
    environment = {name: value for name, value in os.environ.items() if name != "KAFKA_BOOTSTRAP_SERVERS"}

    def run(**given: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_line(*command, "--data", str(tmp_path)),
            env={**environment, **given}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    none, dead = run(), run(KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")

    assert none.returncode == dead.returncode == STOPPED
    assert len(none.stderr.splitlines()) == len(dead.stderr.splitlines()) == 1
    assert "no Tidemark runs in" in none.stderr and "KAFKA_BOOTSTRAP_SERVERS" in none.stderr
    assert "nothing listens at 127.0.0.1:1" in dead.stderr


def test_a_running_stack_is_found_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins where it is set."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("TIDEMARK_WAREHOUSE_URL", "http://elsewhere")

    with state_in(tmp_path):
        running = find(tmp_path)

    assert running.kafka.scoped("fleet") == "p-fleet"
    assert running.kafka.partitions == 4
    assert running.ingest == "http://127.0.0.1:1"
    assert running.warehouse == "http://elsewhere"
    assert (running.write_key, running.backfill_key) == ("k", "b")


def test_keys_create_prints_the_key_it_added(tmp_path: Path) -> None:
    """To the running stack's file when none is named."""
    create = ["keys", "create", "--source", "web", "--client", "server", "--backfill", "--data", str(tmp_path)]
    with state_in(tmp_path):
        result = CliRunner().invoke(app_of(keys), create, env={"TIDEMARK_WRITE_KEYS_FILE": ""})

    assert result.exit_code == 0, result.output
    assert write_keys.holds(tmp_path / "keys.yaml", result.stdout.strip())


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_wrong_file_of_accounts_is_named_as_it_was_given(tmp_path: Path, by_variable: bool) -> None:
    """Exit status 2, as for any wrong argument or setting."""
    file = tmp_path / "accounts.yaml"
    file.write_text("aliases: {acme: acme}\n", "utf-8")
    data = ("--data", str(tmp_path))
    if by_variable:
        ran = run_tool(
            "accounts", "apply", *data, TIDEMARK_ACCOUNTS_FILE=str(file), KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1"
        )
    else:
        ran = run_tool("accounts", "apply", str(file), *data, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")

    assert ran.returncode == exit_status.WRONG_SETTINGS == 2
    named = f"TIDEMARK_ACCOUNTS_FILE: {file}" if by_variable else f"{file}"
    assert f"  - {named}: aliases: acme: stands for itself; leave it out" in ran.stderr.splitlines()


@pytest.mark.parametrize(
    "words",
    ["explain acme --at yesterday", "rejected list --since yesterday", "rejected show 42", "report --at yesterday",
     "erase --account acme --linked", "erase --user=", "export accounts_today --to accounts.pdf", "backfill --tick-hours 5 x",
     "keys create --source web --client browser --origin example.com --file keys.yaml"],
)  # fmt: skip
def test_an_argument_that_cannot_be_used_ends_the_tool_as_the_page_of_errors_says(tmp_path: Path, words: str) -> None:
    """Not as if something had failed or was left: whoever calls it from a script tells the two apart."""
    (tmp_path / "x").write_text("account,user,timestamp\n")

    done = run_tool(*words.replace("5 x", f"5 {tmp_path / 'x'}").split(), TIDEMARK_DEV_DATA=str(tmp_path))

    assert done.returncode == exit_status.WRONG_SETTINGS, done.stderr


def test_rules_are_listed_and_played_as_the_alerter_is_set(tmp_path: Path) -> None:
    """An option wins over the variable of the same kind."""
    overrides, none, case = tmp_path / "own.yaml", tmp_path / "none.yaml", tmp_path / "case.yaml"
    overrides.write_text("nps_detractor: {enabled: false}\n", "utf-8")
    none.write_text("{}\n", "utf-8")
    case.write_text(
        "about: Nobody hears of it.\n"
        "accounts: {a: {days: 2x3, events: [{day: 1, name: NPS Submitted, user: kim, properties: {score: 3}}]}}\n",
        "utf-8",
    )
    set_so = {"TIDEMARK_RULES_OVERRIDES": str(overrides)}

    def run(*given: str | Path, **environment: str) -> tuple[int, str]:
        done = CliRunner().invoke(app_of(rules), ["rules", *map(str, given)], env=environment)
        return done.exit_code, done.stdout

    def off(told: str) -> list[str]:
        return [line.split()[0] for line in told.splitlines() if line.endswith("(off)")]

    assert off(run("list", **set_so)[1]) == ["nps_detractor"]
    assert off(run("list", "--overrides", none, **set_so)[1]) == []
    assert run("test", case, **set_so)[0] == 0
    assert run("test", case)[0] == 1
    elsewhere = {"TIDEMARK_RULES_DIR": str(tmp_path / "no")}
    assert isinstance(CliRunner().invoke(app_of(rules), ["rules", "list"], env=elsewhere).exception, ConfigurationError)


def test_rule_tests_without_a_case_are_no_success(tmp_path: Path) -> None:
    (tmp_path / "usage.txt").write_text("about: It has another ending.\n")

    done = run_tool("rules", "test", str(tmp_path))

    assert done.returncode == exit_status.WRONG_SETTINGS
    assert f"no case was played: there is no file *.yaml in {tmp_path}" in done.stderr


def test_addresses_that_cannot_be_asked_are_told_together_and_not_shown(tmp_path: Path) -> None:
    done = run_tool(
        "export", "health_by_day", "--to", str(tmp_path / "all.csv"), "--data", str(tmp_path),
        TIDEMARK_INGEST_URL="http://[::1", TIDEMARK_WAREHOUSE_URL="tidemark:secret@8081", TIDEMARK_PARTITIONS="many",
    )  # fmt: skip

    assert done.returncode == exit_status.WRONG_SETTINGS
    for name in ("TIDEMARK_INGEST_URL", "TIDEMARK_WAREHOUSE_URL", "TIDEMARK_PARTITIONS"):
        assert f"{name}: give" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    "words",
    ["clock show", "clock accept", "accounts quarantined", "accounts release acme", "accounts unresolved",
     "topics create", "topics check", "plan check", "backfill --abandon", "rejected list", "ledger"],
)  # fmt: skip
def test_a_command_without_a_stack_asks_no_cluster_that_nobody_has_named(tmp_path: Path, words: str) -> None:
    done = run_tool(*words.split(), "--data", str(tmp_path), KAFKA_BOOTSTRAP_SERVERS="")

    assert done.returncode == exit_status.FATAL
    assert f"no Tidemark runs in {tmp_path}: start `tidemark dev`" in done.stderr
