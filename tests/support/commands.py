"""Run a command of `tidemark` in this process: one of its own takes a second of CPU before it begins."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

import typer
from typer.testing import CliRunner, Result

from services.cli.commands.services import SERVICES
from services.shared import exit_status
from services.shared.errors import TidemarkError


def command_line(*words: str) -> list[str]:
    """Return what starts `tidemark` as a process of its own."""
    return [sys.executable, "-m", "services.cli", *words]


class Ran(NamedTuple):
    """What came of a command that was run as `tidemark` runs it."""

    returncode: int
    stdout: str
    stderr: str


def run_command(*words: str) -> Result:
    """Run a command, given as its words; return its exit status and what it wrote. An error of Tidemark is raised."""
    result = _invoke(words, {})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_tool(*words: str, **environment: str) -> Ran:
    """Run a command under further variables of the environment; an error of Tidemark is told as `tidemark` tells it."""
    result = _invoke(words, environment)
    error = result.exception
    if isinstance(error, TidemarkError):
        return Ran(exit_status.of(error), result.stdout, f"{result.stderr}tidemark: {error}\n")
    if error is not None and not isinstance(error, SystemExit):
        raise error
    return Ran(result.exit_code, result.stdout, result.stderr)


def _invoke(words: tuple[str, ...], environment: Mapping[str, str]) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    module = "services" if words[0] in SERVICES else words[0]
    import_module(f"services.cli.commands.{module}").register(app)
    return CliRunner().invoke(app, words, env=environment)
