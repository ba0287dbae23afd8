"""`tidemark signals tail`: which rules it takes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from services.cli import signal_stream
from services.cli.commands import signals
from services.shared.errors import Fatal


async def reached(_kafka: object) -> None:
    """Answer, as a cluster does."""


@asynccontextmanager
async def stream(_kafka: object, _tell: object, *, history: bool) -> AsyncIterator[Any]:
    """One signal, of a rule that is in force no more."""

    async def past() -> list[dict[str, Any]]:
        return [{"account": "acme", "rule": "of_old"}]

    assert not history
    yield SimpleNamespace(past=past)


def tail(monkeypatch: pytest.MonkeyPatch, rule: str) -> Result:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr(signals, "reach", reached)
    monkeypatch.setattr(signal_stream, "SignalStream", stream)
    tool = typer.Typer()
    signals.register(tool)
    return CliRunner().invoke(tool, ["signals", "tail", "--json", "--once", "--rule", rule])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("usage_silnt", "do you mean usage_silent?"),
        ("zzz", "`tidemark rules list` shows those in force"),
    ],
)
def test_a_rule_that_there_is_not_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, rule: str, said: str
) -> None:
    found = tail(monkeypatch, rule)

    assert isinstance(found.exception, Fatal)
    nothing = f"--rule {rule}: the settings of this shell have no such rule, and no signal is of it"
    assert str(found.exception) == f"{nothing}; {said}"


@pytest.mark.parametrize(("rule", "shown"), [("usage_silent", []), ("of_old", ["of_old"])])
def test_rules_that_are_in_force_or_have_signals_are_taken(
    monkeypatch: pytest.MonkeyPatch, rule: str, shown: list[str]
) -> None:
    found = tail(monkeypatch, rule)

    assert found.exit_code == 0, found.exception
    assert [json.loads(line)["rule"] for line in found.stdout.splitlines()] == shown
