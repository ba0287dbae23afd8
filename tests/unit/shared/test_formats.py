"""The level of formats is a setting that is checked, applied and shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas import codec, formats
from services.shared.errors import ConfigurationError
from services.shared.formats import FormatSettings, use_formats
from services.shared.settings import load
from tests.support.commands import run_tool


@pytest.fixture(autouse=True)
def restored_level(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("TIDEMARK_WRITE_FORMATS", raising=False)
    yield
    codec.write_level(formats.DEFAULT)


def test_without_the_setting_the_level_is_what_the_release_before_reads() -> None:
    use_formats(load(FormatSettings))

    assert codec.level() == formats.DEFAULT


def test_the_setting_is_the_level_that_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_WRITE_FORMATS", str(formats.NEWEST))

    use_formats(load(FormatSettings))

    assert codec.level() == formats.NEWEST


@pytest.mark.parametrize("level", ["0", str(formats.NEWEST + 1), "newest"])
def test_a_level_that_there_is_not_is_named_with_those_there_are(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_WRITE_FORMATS", level)

    with pytest.raises(ConfigurationError, match="TIDEMARK_WRITE_FORMATS: "):
        load(FormatSettings)


@pytest.mark.parametrize("service", ["ingest", "scorer", "alerter", "warehouse"])
def test_every_service_refuses_a_wrong_level_at_its_start(service: str) -> None:
    done = run_tool(service, "--check-config", TIDEMARK_WRITE_FORMATS="9")

    assert done.returncode == 2
    assert f"there is no level 9: this release writes 1 to {formats.NEWEST}" in done.stderr
