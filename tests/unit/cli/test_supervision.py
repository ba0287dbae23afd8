"""The supervisor's configuration says what we mean, in any folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from services.cli.supervision import Program, socket_path, write_configuration


@pytest.mark.parametrize("folder", ["plain", "two words", "100%", "it's"])
def test_any_data_folder_survives_the_configuration(tmp_path: Path, folder: str) -> None:
    """Blanks, quotes and percent signs included."""
    data = tmp_path / folder
    data.mkdir()
    program = Program("one", ["/bin/echo", str(data)], 1, {"TIDEMARK_DATA_DIR": str(data)})

    file = write_configuration(data, [program])

    options = ServerOptions()
    options.realize(["--configuration", str(file)])
    [group] = options.process_group_configs
    [process] = group.process_configs
    import shlex

    assert shlex.split(process.command) == program.command
    assert process.environment["TIDEMARK_DATA_DIR"] == str(data)


def test_a_long_folder_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    """A unix socket's path has at most 108 bytes."""
    data = tmp_path / ("x" * 100)

    assert len(os.fsencode(socket_path(data))) <= 85
    assert socket_path(data) != socket_path(data / "y")
