"""The folder of a demo: what it remembers, and when it is deleted."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from services.cli.local import demo_source
from services.cli.local.stack_state import lock_file
from services.shared.errors import Fatal
from services.simulator import History

NOW_MS = 1_800_000_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the folder of a demo of 4 weeks."""
    demo_source.remembered(tmp_path, 4, NOW_MS)
    lock_file(tmp_path).touch()
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "segment").write_text("events")
    (tmp_path / "pseudonym.key").write_text("key")
    return tmp_path


def test_a_second_start_goes_on_with_the_first_ones_history(data: Path) -> None:
    demo_source.require_same(data, None)
    demo_source.require_same(data, 4)

    assert demo_source.remembered(data, None, NOW_MS + 1) == History(7, NOW_MS, 4)


def test_another_history_than_the_folders_is_refused(data: Path) -> None:
    with pytest.raises(Fatal, match=r"has the demo of 4 weeks: .*--fresh"):
        demo_source.require_same(data, 35)


def test_all_data_of_a_demo_is_deleted(data: Path) -> None:
    demo_source.delete(data)

    assert [each.name for each in data.iterdir()] == [lock_file(data).name]


def test_the_data_of_a_demo_that_runs_is_not_deleted(data: Path) -> None:
    with lock_file(data).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(Fatal, match="stop it first"):
            demo_source.delete(data)

    assert (data / "kafka" / "segment").exists()


def test_a_deletion_that_was_cut_short_is_gone_on_with(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_short(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", cut_short)
        with pytest.raises(KeyboardInterrupt):
            demo_source.delete(data)
    demo_source.delete(data)

    assert not (data / "kafka").exists()


def test_a_folder_that_has_no_demo_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")

    demo_source.delete(tmp_path)

    assert (tmp_path / "mine").exists()
