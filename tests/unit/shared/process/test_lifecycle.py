"""A service's exit status tells its supervisor what to do."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator

import pytest

from services.shared.errors import ConfigurationError, Fatal, IncompatibleState, Misfit
from services.shared.process.lifecycle import run_service, stop_event
from services.shared.settings import ProcessSettings


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run services in this process without tying it to its own parent, and without their logging after they have ended."""
    monkeypatch.delenv("TIDEMARK_STOP_WITH_PARENT")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


async def stopped_by_sigterm(_: ProcessSettings) -> None:
    """Run until the signal that it sends itself."""
    stop = stop_event()
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(stop.wait(), 10)


async def cannot_go_on(_: ProcessSettings) -> None:
    """Fail as a fenced worker does."""
    raise Fatal("fenced")


async def has_a_defect(_: ProcessSettings) -> None:
    """Fail as nobody thought of."""
    raise KeyError("oops")


def test_sigterm_is_an_orderly_end() -> None:
    """Status 0."""
    assert run_service("ingest", [], [ProcessSettings], stopped_by_sigterm) == 0


@pytest.mark.parametrize("run", [cannot_go_on, has_a_defect])
def test_an_error_asks_for_a_restart(run: object) -> None:
    """Status 1, with the reason in the log."""
    assert run_service("ingest", [], [ProcessSettings], run) == 1  # type: ignore[arg-type]


async def does_not_fit(_: ProcessSettings) -> None:
    """Fail as a service does whose topics are others."""
    raise Misfit(["topic usage-events does not exist"])


async def meets_newer_state(_: ProcessSettings) -> None:
    """Fail as a service does that is older than its state."""
    raise IncompatibleState("newer")


@pytest.mark.parametrize("run", [does_not_fit, meets_newer_state])
def test_what_a_restart_cannot_mend_asks_for_none(run: object) -> None:
    """Status 78."""
    assert run_service("ingest", [], [ProcessSettings], run) == 78  # type: ignore[arg-type]


async def reads_a_wrong_file(_: ProcessSettings) -> None:
    """Fail as a service does whose file became wrong after it was looked at."""
    raise ConfigurationError(["TIDEMARK_TRACKING_PLAN plan.yaml: events: write names"])


def test_a_wrong_file_asks_for_a_correction() -> None:
    """Status 2."""
    assert run_service("ingest", [], [ProcessSettings], reads_a_wrong_file) == 2


@pytest.mark.parametrize(("slot", "given", "port"), [("0", "", 8082), ("1", "", 8092), ("1", "9000", 9000)])
def test_each_service_has_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch, slot: str, given: str, port: int) -> None:
    """All on one machine, the second of a kind too, without a setting."""
    monkeypatch.setenv("TIDEMARK_SLOT", slot)
    monkeypatch.setenv("TIDEMARK_HTTP_PORT", given)
    ports: list[int] = []

    async def note(process: ProcessSettings) -> None:
        ports.append(process.http_port)

    assert run_service("scorer", [], [ProcessSettings], note) == 0
    assert ports == [port]


def test_a_wrong_configuration_asks_for_a_person(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, with all problems; nothing has run."""
    monkeypatch.setenv("TIDEMARK_HTTP_PORT", "x")
    monkeypatch.setenv("TIDEMARK_SLOT", "-1")

    status = run_service("ingest", [], [ProcessSettings], has_a_defect)

    assert status == 2
    text = capsys.readouterr().err
    assert "TIDEMARK_HTTP_PORT" in text
    assert "TIDEMARK_SLOT" in text


def finds_an_empty_file(_: ProcessSettings) -> None:
    """Fail as a look at the files does."""
    raise ConfigurationError(["TIDEMARK_FILE: empty"])


def test_checking_the_configuration_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """What the files say is looked at too."""
    good = run_service("ingest", ["--check-config"], [ProcessSettings], has_a_defect)
    bad = run_service("ingest", ["--check-config"], [ProcessSettings], has_a_defect, check=finds_an_empty_file)

    assert (good, bad) == (0, 2)
    assert "TIDEMARK_FILE: empty" in capsys.readouterr().err


def test_a_variable_that_is_no_setting_is_told_at_the_start_with_what_was_likely_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However the service is started, and beside the errors that it may be the reason for."""
    monkeypatch.setenv("TIDEMARK_KAFKA_BOOTSTRP", "kafka:9092")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVER", "kafka:9092")
    started = run_service("ingest", [], [ProcessSettings], stopped_by_sigterm)
    told = capsys.readouterr().err
    checked = run_service("ingest", ["--check-config"], [ProcessSettings], has_a_defect)
    monkeypatch.setenv("TIDEMARK_HTTP_PORT", "-1")
    refused = run_service("ingest", [], [ProcessSettings], has_a_defect)
    said = capsys.readouterr().err

    assert (started, checked, refused) == (0, 0, 2)
    assert "WARNING ingest no_setting variable=KAFKA_BOOTSTRAP_SERVER meant=KAFKA_BOOTSTRAP_SERVERS\n" in told
    assert "WARNING ingest no_setting variable=TIDEMARK_KAFKA_BOOTSTRP" in told
    meant = "KAFKA_BOOTSTRAP_SERVER is no setting, so it changes nothing: write KAFKA_BOOTSTRAP_SERVERS"
    assert said.count(f"ingest: warning: {meant}\n") == 2
