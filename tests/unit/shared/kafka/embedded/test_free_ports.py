"""A port is given to one who asks, and to nobody else until it had time to listen."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from services.shared.errors import Fatal
from services.shared.kafka.embedded import free_ports
from services.shared.kafka.embedded.free_ports import free_port


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> range:
    """Let there be three ports on this machine."""
    first = free_port(3)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(free_ports, "_PORTS", range(first, first + 3))
    return range(first, first + 3)


def test_no_two_who_ask_at_once_get_the_same_port(three: range) -> None:
    assert sorted(free_port() for _ in three) == list(three)

    with pytest.raises(Fatal, match="no free port between"):
        free_port()


def test_a_port_that_nobody_listens_on_in_the_end_is_given_again(three: range, tmp_path: Path) -> None:
    port = free_port(3)
    for file in (tmp_path / f"tidemark-ports-{os.getuid()}").iterdir():
        os.utime(file, (0, 0))

    assert free_port(3) == port == three.start


def test_a_port_in_use_is_passed_over(three: range) -> None:
    with socket.create_server(("127.0.0.1", three[1])):
        assert {free_port(), free_port()} == {three[0], three[2]}


def test_a_folder_that_cannot_be_used_is_no_hindrance(three: range, tmp_path: Path) -> None:
    (tmp_path / f"tidemark-ports-{os.getuid()}").write_text("a file")

    assert free_port() in three
