"""What cannot be written at the end of a long command is refused at its beginning, with the option and what to do."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from services.backtest.report.contents import ReportPart
from services.backtest.words import speech
from services.cli.commands import backtest
from services.cli.output_files import require_files, require_folder, write_whole
from services.shared.errors import Fatal

_NOBODY = 65534
"""The user that owns nothing, on every Linux."""


def test_files_and_folders_that_can_be_made_or_replaced_are_fine(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("old")

    require_files({"--markdown": tmp_path / "there.md", "--html": tmp_path / "new.html", "--write": None})
    require_folder("--keep", tmp_path)
    require_folder("--keep", tmp_path / "new" / "deep")
    require_folder("--keep", None)


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=rf"--html {tmp_path} cannot be written: it is a folder; name a file in it"):
        require_files({"--html": tmp_path})


def test_a_file_in_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    for path in (tmp_path / "no" / "x.md", tmp_path / "file" / "x.md"):
        with pytest.raises(Fatal, match=f"--markdown {path} cannot be written: there is no folder {path.parent}"):
            require_files({"--markdown": path})


def test_one_file_for_two_options_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="--html and --markdown both name"):
        require_files({"--html": tmp_path / "x", "--markdown": tmp_path / "." / "x"})


@pytest.mark.parametrize("name", ["file", "file/deep"])
def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Fatal, match=rf"--keep {tmp_path / name} has to be a folder, and {tmp_path / 'file'} is a file"):
        require_folder("--keep", tmp_path / name)


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A folder of somebody who may not write everywhere, as root may, and who this test is meanwhile."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        if root:
            os.chown(name, _NOBODY, _NOBODY)
            os.seteuid(_NOBODY)
        try:
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)
            Path(name).chmod(0o700)


def test_what_is_not_writable_is_refused(own_folder: Path) -> None:
    (own_folder / "x.md").write_text("")
    (own_folder / "x.md").chmod(0o400)
    with pytest.raises(Fatal, match="the file is there and not writable"):
        require_files({"--markdown": own_folder / "x.md"})
    own_folder.chmod(0o500)
    with pytest.raises(Fatal, match="or it is not writable"):
        require_files({"--markdown": own_folder / "new.md"})
    with pytest.raises(Fatal, match="is not writable; name another one"):
        require_folder("--keep", own_folder / "kept")


def test_a_whole_file_goes_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")

    write_whole(tmp_path / "link", b"new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert {each.name for each in tmp_path.iterdir()} == {"real", "link"}


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor() as other:
        reading = other.submit((tmp_path / "pipe").read_bytes)
        write_whole(tmp_path / "pipe", b"new")

        assert reading.result(10) == b"new"
    assert (tmp_path / "pipe").is_fifo()


def test_a_report_that_cannot_be_written_whole_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python would keep a cut copy of a module that is imported below for the first time, and fail at each import after it.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "report.md"
    file.write_text("the report of last week")
    part = ReportPart("events", ["a line"] * 1_000, [], cast(Any, None))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))  # as if the disk were full
        with pytest.raises(OSError, match="File too large"):
            backtest._report([part], [], speech("en"), short=False, markdown=file, html=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert file.read_text() == "the report of last week"
    assert list(tmp_path.iterdir()) == [file]
