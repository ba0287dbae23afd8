"""
A worker that counts, as a process of its own: what the kill tests kill and the bench measures.

    python -m tests.support.counting.worker

Reads the topics of trial.py; besides the usual settings it takes TIDEMARK_COUNTING_MODE (contiguous or
transactional), TIDEMARK_COUNTING_APPENDS (after_commit or before_commit), TIDEMARK_COUNTING_LOAD_S, which makes each load of a changelog take that many seconds longer, and
TIDEMARK_COUNTING_FREEZE: where no file of that path exists, the worker makes it and stops (SIGSTOP) in the middle of
a transaction. It prints one line of JSON when the lanes it got are ready, each time that this changes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from services.shared import exit_status
from services.shared import logging as structured
from services.shared.engine.kafka import changelog
from services.shared.engine.kafka.writer import LaneWriter
from services.shared.engine.settings import EngineSettings
from services.shared.engine.spec import AppendOrder, LaneSpec, SourceMode
from services.shared.engine.worker.worker import Worker
from services.shared.errors import ConfigurationError
from services.shared.kafka.guard import die_with_parent
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings, load
from tests.support.counting.processor import counting_spec
from tests.support.counting.trial import CHANGELOG, DEAD, GROUP, OUT, SIDE, SOURCE

_LOOK_EVERY_S = 0.05


def _freeze_once(marker: Path) -> None:
    try:
        marker.touch(exist_ok=False)  # of two workers that come at once one stops
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGSTOP)


class FreezingWriter(LaneWriter):
    """Stops the process once, with everything sent and nothing committed."""

    async def _commit(self) -> None:
        _freeze_once(Path(os.environ["TIDEMARK_COUNTING_FREEZE"]))
        await super()._commit()


class SlowWorker(Worker):
    """A worker that takes longer to load a changelog, where it is told to."""

    async def load(self, spec: LaneSpec, partition: int) -> changelog.Loaded:
        """Read the changelogs of a lane."""
        await asyncio.sleep(float(os.environ.get("TIDEMARK_COUNTING_LOAD_S", "0")))
        return await super().load(spec, partition)


class FreezingWorker(SlowWorker):
    """A worker with such writers."""

    def writer(self, spec: LaneSpec, partition: int) -> LaneWriter:
        """Make the writer of a lane."""
        return FreezingWriter(
            self.kafka,
            self.name,
            spec,
            partition,
            limits=self.limits,
            partitions=self.partitions,
            timeout_s=self.settings.transaction_timeout_s,
        )


async def run() -> None:
    """Count until SIGTERM."""
    mode = SourceMode(os.environ.get("TIDEMARK_COUNTING_MODE", "contiguous"))
    order = AppendOrder(os.environ.get("TIDEMARK_COUNTING_APPENDS", "after_commit"))
    spec = replace(counting_spec(SOURCE, CHANGELOG, OUT, DEAD, mode=mode, appends=SIDE), appends=order)
    kind = FreezingWorker if "TIDEMARK_COUNTING_FREEZE" in os.environ else SlowWorker
    worker = kind(GROUP, [spec], load(KafkaSettings), load(EngineSettings), CollectorRegistry(), load(ProcessSettings))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, worker.stop)
    telling = asyncio.create_task(_tell(worker))
    await worker.run()
    telling.cancel()


async def _tell(worker: Worker) -> None:
    told = None
    while True:
        lanes = {str(p): lane.next.offset for p, lane in worker.open_lanes(SOURCE).items()}
        ready = sorted(lanes) if worker.ready else None
        if ready is not None and ready != told:
            print(json.dumps({"ready": ready}), flush=True)
        told = ready
        await asyncio.sleep(_LOOK_EVERY_S)


def main() -> int:
    """Run until told to stop; a fail-stop leaves with its own status."""
    if os.environ.get("TIDEMARK_STOP_WITH_PARENT"):
        die_with_parent()  # by SIGKILL, which a worker that has frozen heeds as well
    structured.setup("counting")
    try:
        uvloop.run(run())
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return exit_status.REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
