"""A data folder that cannot be used is a setting to change: nobody is restarted for it."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from services.shared import exit_status
from services.shared.engine.settings import EngineSettings
from services.shared.engine.worker.membership import Membership
from services.shared.errors import ConfigurationError, Fatal
from services.shared.files.data_folder import using
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings
from services.warehouse.clickhouse.store import open_embedded
from tests.support.service_process import ServiceProcess

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", ["scorer", "alerter", "warehouse"])
async def test_a_process_whose_folder_is_a_file_ends_with_the_status_of_wrong_settings(
    tmp_path: Path, name: str
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    process = ServiceProcess(name, KafkaSettings(), tmp_path, TIDEMARK_DATA_DIR=str(taken))
    await process.start()
    assert process.process is not None

    assert await asyncio.wait_for(process.process.wait(), 60) == exit_status.WRONG_SETTINGS

    assert f"TIDEMARK_DATA_DIR: {taken}" in process.log.read_text()
    assert "Traceback" not in process.log.read_text()


def test_a_member_file_that_is_a_folder_is_named(tmp_path: Path) -> None:
    member = Membership(KafkaSettings(), "counting", EngineSettings(instance="a"), ProcessSettings(data_dir=tmp_path))
    (tmp_path / "members" / "counting-a").mkdir(parents=True)

    with pytest.raises(ConfigurationError, match=r"TIDEMARK_DATA_DIR: .*/members/counting-a cannot be used"):
        member.take()


def test_a_store_whose_folder_cannot_be_written_to_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere

    with pytest.raises(ConfigurationError, match="it cannot be written to"):
        open_embedded(tmp_path / "clickhouse", "tidemark")


def test_a_full_disk_is_no_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="No space left") as raised, using(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert not isinstance(raised.value, ConfigurationError)
