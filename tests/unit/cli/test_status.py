"""What `tidemark status` gathers of a stack that fares badly."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.commands.status import gather
from services.cli.local import readiness
from services.cli.local.stack_state import StackState
from services.cli.local.supervision import Supervisor
from services.shared.kafka.embedded.free_ports import free_port


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


def test_a_broker_of_dev_that_does_not_run_is_not_one_that_somebody_has_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The services know only its address."""
    kafka = f"127.0.0.1:{free_port()}"
    processes = [{"name": name, "pid": 7, "statename": "RUNNING"} for name in ("ingest", "scorer")]
    monkeypatch.setattr(Supervisor, "answers", lambda _: True)
    monkeypatch.setattr(Supervisor, "processes", lambda _: processes)
    says = [f"nothing listens at {kafka}: start the broker, or correct the port", "reads its state"]
    monkeypatch.setattr(readiness, "_at_once", lambda *_: says)
    state = StackState(
        data=str(tmp_path), kafka=kafka, embedded=True, topic_prefix="", partitions=1, replication=None,
        addresses={"ingest": "", "scorer": ""}, write_keys_file="", write_key="", backfill_key="", live="",
        supervisor=str(tmp_path), pid=1,
    )  # fmt: skip

    assert readiness.readiness_of_all(state, Supervisor(tmp_path)) == {
        "ingest": f"the broker of `tidemark dev` does not run; it is started again, and {tmp_path}/logs/kafka.log says why"
        " (running)",
        "scorer": "reads its state (running)",
    }
