"""Run a command of `tidemark` in this process: one of its own takes a second of CPU before it begins."""

from __future__ import annotations

from importlib import import_module

import typer
from typer.testing import CliRunner, Result


def run_command(*words: str) -> Result:
    """Run a command, given as its words; return its exit status and what it wrote. An error of Tidemark is raised."""
    app = typer.Typer()
    app.callback()(lambda: None)
    import_module(f"services.cli.commands.{words[0]}").register(app)
    result = CliRunner().invoke(app, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
