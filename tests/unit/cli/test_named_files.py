"""Every command ends with status 2 where a file that somebody names cannot be read, used or written: nothing was done."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import typer

from services.cli.__main__ import COMMANDS
from services.shared import exit_status
from tests.support.commands import run_tool

READ = {
    "accounts import file": "accounts import {}",
    "accounts resolve file": "accounts resolve {}",
    "accounts apply file": "accounts apply {}",
    "backfill file": "backfill {}",
    "backfill accounts_file": "backfill {events} --accounts-file {}",
    "backtest file": "backtest {}",
    "backtest outcomes": "backtest {events} --outcomes {}",
    "backtest rules": "backtest {events} --rules {}",
    "backtest overrides": "backtest {events} --overrides {}",
    "dev key_file": "dev --data {new} --key-file {}",
    "keys list file": "keys list --file {}",
    "keys rotate file": "keys rotate web --file {}",
    "keys revoke file": "keys revoke web --file {}",
    "tokens list file": "tokens list --file {}",
    "tokens revoke file": "tokens revoke kim --file {}",
    "plan check events": "plan check --events {}",
    "plan check plan": "plan check --events {events} --plan {}",
    "plan infer events": "plan infer --events {}",
    "plan docs plan": "plan docs --plan {}",
    "rejected replay key_file": "rejected replay --yes --key-file {}",
    "report token_file": "report --to {new} --api http://127.0.0.1:1 --token-file {}",
    "rules list rules": "rules list --rules {}",
    "rules list overrides": "rules list --overrides {}",
    "rules test cases": "rules test {}",
    "rules test rules": "rules test {case} --rules {}",
    "rules test overrides": "rules test {case} --overrides {}",
    "tail key_file": "tail --key-file {}",
}
"""Commands that read a file, by the name of the parameter; {} stands for it."""
WRITTEN = {
    "backtest keep": "backtest {events} --keep {}",
    "backtest write": "backtest {events} --fit --write {}",
    "backtest html": "backtest {events} --html {}",
    "backtest markdown": "backtest {events} --markdown {}",
    "export to": "export accounts_today --to {}.csv",
    "keys create file": "keys create --source web --client server --file {}",
    "plan init file": "plan init {}",
    "report to": "report --api http://127.0.0.1:1 --to {}",
    "report email": "report --api http://127.0.0.1:1 --email {}",
    "tokens create file": "tokens create kim --file {}",
}
"""Commands that write one."""
TOLD_LINE_BY_LINE = {"rules test cases", "plan check events", "plan infer events"}
"""What is wrong in these files is told line by line or case by case, and the rest is done: status 1."""


def run(words: str, named: Path, folder: Path) -> tuple[int, str]:
    events, case = folder / "events.ndjson", folder / "case.yaml"
    events.write_text(
        '{"type": "track", "event": "Viewed", "account": "acme", "user": "kim", "timestamp": "2026-01-05"}\n'
    )
    case.write_text("about: Nothing.\naccounts: {a: {days: 2x3}}\n")
    given = words.format(named, events=events, case=case, new=folder / "new").split()
    done = run_tool(
        *given, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", TIDEMARK_PSEUDONYM_KEY="ab" * 32, TIDEMARK_DEV_DATA=str(folder),
        TIDEMARK_INGEST_URL="http://127.0.0.1:1", TIDEMARK_WAREHOUSE_URL="http://127.0.0.1:1",
    )  # fmt: skip
    return done.returncode, done.stderr


def test_the_tables_have_every_parameter_that_names_a_file() -> None:
    assert {*READ, *WRITTEN} == {name for name in _parameters() if not name.endswith(" data")}


@pytest.mark.parametrize("words", READ.values(), ids=READ)
def test_a_file_that_is_not_there_is_a_wrong_argument(tmp_path: Path, words: str) -> None:
    status, told = run(words, tmp_path / "none.csv", tmp_path)

    assert status == exit_status.WRONG_SETTINGS, told


@pytest.mark.parametrize(
    "words",
    [words for name, words in READ.items() if name not in TOLD_LINE_BY_LINE],
    ids=[name for name in READ if name not in TOLD_LINE_BY_LINE],
)
def test_a_file_that_is_none_of_its_kind_is_a_wrong_argument(tmp_path: Path, words: str) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_bytes(b"\xff[1\n")

    status, told = run(words, wrong, tmp_path)

    assert status == exit_status.WRONG_SETTINGS, told
    assert "wrong.csv" in told


@pytest.mark.parametrize("words", WRITTEN.values(), ids=WRITTEN)
def test_a_file_that_cannot_be_written_is_a_wrong_argument(tmp_path: Path, words: str) -> None:
    """Nobody can put a file below another, not even root."""
    (tmp_path / "file").touch()

    status, told = run(words, tmp_path / "file" / "new", tmp_path)

    assert status == exit_status.WRONG_SETTINGS, told


def _parameters() -> Iterator[str]:
    app = typer.Typer()
    for module in COMMANDS:
        import_module(f"services.cli.commands.{module}").register(app)
    groups = [("", app), *((f"{group.name} ", group.typer_instance) for group in app.registered_groups)]
    for prefix, group in groups:
        for command in group.registered_commands if group else ():
            callback = command.callback
            assert callback is not None
            hints = get_type_hints(callback)
            for name in signature(callback).parameters:
                if Path in (hints[name], *get_args(hints[name])):
                    yield f"{prefix}{command.name} {name}"
