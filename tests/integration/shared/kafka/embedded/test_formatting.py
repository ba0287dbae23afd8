"""The folder of a new broker is the same whether Kafka's tool prepares it or a copy of what the tool wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.shared.errors import Fatal
from services.shared.kafka.embedded.broker_config import Node, new_id, server_properties
from services.shared.kafka.embedded.formatting import format_folder, is_formatted, kept_file
from services.shared.kafka.embedded.jars import ensure

pytestmark = pytest.mark.integration

FIRST, SECOND = Node(1, 20_001, 20_002), Node(2, 20_003, 20_004)


def ids(log: Path) -> dict[str, str]:
    """Return what `meta.properties` says."""
    lines = (log / "meta.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_a_copy_is_as_kafkas_tool_wrote_it_but_for_the_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With which features the cluster begins is in the file that is copied; test_embedded_cluster.py starts three such."""
    jars = ensure()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config, made, copied = tmp_path / "config", tmp_path / "made" / "log", tmp_path / "copied" / "log"
    config.write_text(server_properties(made, FIRST, [FIRST]))
    made.parent.mkdir()
    cluster, other = new_id(), new_id()

    format_folder(jars, config, made, FIRST, cluster)
    format_folder(jars, tmp_path / "the tool would refuse", copied, SECOND, other)

    assert is_formatted(made)
    assert is_formatted(copied)
    assert {each.name for each in copied.iterdir()} == {each.name for each in made.iterdir()}
    assert (copied / "bootstrap.checkpoint").read_bytes() == (made / "bootstrap.checkpoint").read_bytes()
    of_made, of_copied = ids(made), ids(copied)
    assert of_made.pop("directory.id") != of_copied.pop("directory.id")
    assert of_made == {"version": "1", "cluster.id": cluster, "node.id": "1"}
    assert of_copied == {"version": "1", "cluster.id": other, "node.id": "2"}


def test_other_jars_have_a_file_of_their_own(tmp_path: Path) -> None:
    assert kept_file([tmp_path / "kafka-1.jar"]) != kept_file([tmp_path / "kafka-2.jar"])


def test_what_the_tool_refuses_is_said_and_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jars = ensure()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "config").write_text("node.id=1\n")

    with pytest.raises(Fatal, match=r"(?s)could not be prepared.*process\.roles"):
        format_folder(jars, tmp_path / "config", tmp_path / "log", FIRST, new_id())

    assert not kept_file(jars).exists()
