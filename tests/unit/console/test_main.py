"""The console's own process."""

from typing import Any

import pytest

from services.console import __main__ as console
from services.console.settings import ConsoleSettings
from services.shared.errors import Fatal
from services.shared.settings import ProcessSettings, load


def test_the_api_is_named_on_the_command_line_or_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def run_service(name: str, argv: list[str], *_: object) -> int:
        given.append((name, argv))
        return 0

    monkeypatch.setattr(console, "run_service", run_service)
    monkeypatch.setenv("TIDEMARK_CONSOLE_API", "http://other.example")

    assert console.main(["--api", "https://tidemark.example/", "--check-config"]) == 0
    assert given == [("console", ["--check-config"])]
    assert load(ConsoleSettings).api == "https://tidemark.example"


async def test_without_an_api_it_does_not_start_and_says_what_to_set() -> None:
    with pytest.raises(Fatal, match="TIDEMARK_CONSOLE_API"):
        await console.run(load(ProcessSettings), ConsoleSettings())
