"""What `tidemark status` gathers of a stack that fares badly."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.commands.status import gather
from services.cli.local.stack_state import StackState
from services.cli.local.supervision import Supervisor


@pytest.mark.parametrize("written", ["", None])
def test_a_broker_that_could_not_write_its_process_id_is_told_by_its_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str | None
) -> None:
    """Its disk is full, or it starts just now."""
    monkeypatch.setattr(Supervisor, "answers", lambda _: True)
    monkeypatch.setattr(Supervisor, "processes", lambda _: [{"name": "kafka", "pid": 7, "statename": "RUNNING"}])
    (tmp_path / "kafka").mkdir()
    if written is not None:
        (tmp_path / "kafka" / "broker.pid").write_text(written)
    state = StackState(
        data=str(tmp_path), kafka="127.0.0.1:1", embedded=True, topic_prefix="", partitions=1, replication=None,
        addresses={}, write_keys_file="", write_key="", backfill_key="", live="", supervisor=str(tmp_path), pid=1,
    )  # fmt: skip

    assert gather(state)["processes"] == {"kafka": {"pid": 7, "state": "RUNNING"}}
