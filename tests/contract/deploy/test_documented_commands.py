"""Every command, option and setting that a page tells somebody to use is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from services.cli.__main__ import COMMANDS
from services.shared.ports import APART, PORTS
from services.shared.process.unknown_settings import unknown_settings

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/runbooks/*.md")])
_SPAN = re.compile(r"`(?:/opt/tidemark(?:-NEW)?/bin/|\.venv/bin/)?tidemark\s([^`]*)`")
_LINE = re.compile(r"^ {4,}(?:\$ )?(?:\.venv/bin/)?tidemark ([a-z][^#\n]*)", re.MULTILINE)


@cache
def tool() -> TyperGroup:
    app = typer.Typer()
    app.callback()(lambda: None)
    for name in COMMANDS:
        import_module(f"services.cli.commands.{name}").register(app)
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def told(path: Path) -> Iterator[str]:
    """Yield what stands behind `tidemark` wherever a page says it as a command."""
    text = path.read_text("utf-8")
    for found in (*_SPAN.findall(text), *_LINE.findall(text)):
        yield " ".join(found.split())


def what_is_wrong(line: str) -> str | None:
    """Return what the tool does not know of a command line, up to a pipe or the like."""
    command: Any = tool()
    words = re.split(r"[|;&<>]", line)[0].split()
    while words and isinstance(command, TyperGroup) and not words[0].startswith("-"):
        if words[0].isupper() or words[0] == "...":
            return None
        found = command.commands.get(words[0].rstrip(",.:"))
        if found is None:
            return f"there is no command {words[0]}"
        command, words = found, words[1:]
    if command.name in PORTS | APART:  # their arguments go to the service
        return None
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        option = word.split("=")[0].rstrip(",.:")
        if option.startswith("--") and option not in {*known, "--help", "--version"}:
            return f"{command.name} has no option {option}"
    return None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_names_only_commands_and_options_that_there_are(path: Path) -> None:
    assert {line: wrong for line in told(path) if (wrong := what_is_wrong(line))} == {}


def test_commands_are_found_in_pages() -> None:
    lines = {line for path in PAGES for line in told(path)}

    assert {"topics create", "doctor", "rejected list --since 30m --by scorer"} <= lines
    assert what_is_wrong("topics mend") == "there is no command mend"
    assert what_is_wrong("rejected list --form scorer") == "list has no option --form"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_names_only_settings_that_there_are(path: Path) -> None:
    named = set(re.findall(r"\bTIDEMARK_[A-Z0-9_]*[A-Z0-9]\b", path.read_text("utf-8")))

    assert [name for name, _ in unknown_settings(dict.fromkeys(named, "1"))] == []
