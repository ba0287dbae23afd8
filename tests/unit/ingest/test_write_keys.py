"""The write keys file: read whole, with every fault named, and again when it changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.ingest.keys import WriteKey, WriteKeys, read
from services.ingest.metrics import IngestMetrics
from services.shared.errors import ConfigurationError


def write(path: Path, text: str, at: int) -> None:
    path.write_text(text)
    os.utime(path, ns=(at, at))


def test_a_file_is_read(tmp_path: Path) -> None:
    write(
        tmp_path / "keys",
        "- {write_key: a, source: web}\n- {write_key: b, source: w, environment: dev, backfill: true}",
        1,
    )

    assert read(tmp_path / "keys") == {"a": WriteKey("a", "web"), "b": WriteKey("b", "w", "dev", backfill=True)}


def test_every_fault_is_named(tmp_path: Path) -> None:
    write(
        tmp_path / "keys",
        "- {write_key: 'a:b', source: ''}\n- {write_key: x, source: s}\n- {write_key: x, source: s}",
        1,
    )

    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path / "keys")

    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    "text", ["- {write_key: a}", "a: 1", "- {write_key: a, source: s, colour: red}", "- [", "\x00"]
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path / "keys", text, 1)

    with pytest.raises(ConfigurationError):
        read(tmp_path / "keys")


def test_a_change_is_taken_over_and_a_fault_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    write(path, "- {write_key: a, source: web}", 1)
    metrics = IngestMetrics(CollectorRegistry())
    keys = WriteKeys.from_file(path, metrics)

    write(path, "- {write_key: b, source: web}", 2)
    keys.refresh()
    assert (keys.find("a"), keys.find("b"), keys.version) == (None, WriteKey("b", "web"), 1)

    write(path, "nonsense", 3)
    keys.refresh()
    path.unlink()
    keys.refresh()
    assert keys.find("b") == WriteKey("b", "web")
    assert metrics.write_keys_errors._value.get() == 2
