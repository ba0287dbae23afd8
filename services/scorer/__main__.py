"""
Runs the scorer: `python -m services.scorer`, the same as `tidemark scorer`.

`--check-config` lists everything that is wrong with settings, tracking plan and model. On SIGTERM it commits what
it has folded and leaves with status 0.
"""

from __future__ import annotations

from services.shared.process import early_stop

if __name__ == "__main__":
    early_stop.end_at_once()  # the imports below take a second or more

import asyncio
import logging
import sys
from contextlib import suppress
from functools import partial

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from schemas import formats
from schemas.topics import USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.scorer.attribution_metrics import AttributionMetrics
from services.scorer.domain.accounts.kinds import kinds_of
from services.scorer.domain.health.measuring import not_taken
from services.scorer.lane_facts import GROUP, read_positions
from services.scorer.lanes import attribution_lanes, fleet_lane, usage_lanes
from services.scorer.metrics import ScorerMetrics
from services.scorer.settings import ScorerSettings, load_scoring
from services.scorer.settling import ASK_EVERY_S, SETTLED_WITHIN_S, Settling
from services.scorer.tick_sender import TickSender, tick_producer
from services.scorer.ticker import Ticker
from services.shared.attribution_wait import AttributionWait
from services.shared.engine.settings import EngineSettings
from services.shared.engine.worker.worker import Worker
from services.shared.formats import FormatSettings
from services.shared.http.server import ops_routes, serving
from services.shared.kafka.clients import wait_for_broker
from services.shared.kafka.reading import ends as read_ends
from services.shared.kafka.settings import KafkaSettings
from services.shared.process.lifecycle import run_service, stop_event
from services.shared.settings import ProcessSettings, Settings
from services.shared.tracking_plan.plan import fingerprint

log = logging.getLogger(__name__)


async def run(
    kafka: KafkaSettings,
    process: ProcessSettings,
    engine: EngineSettings,
    settings: ScorerSettings,
    durable: FormatSettings,
) -> None:
    """Score until SIGTERM."""
    stop = stop_event()
    registry = CollectorRegistry()
    plan, model = load_scoring(settings)
    metrics = ScorerMetrics(registry)
    log.info("model_in_force", extra={"version": model.fingerprint})
    for measure, lacks in not_taken(kinds_of(plan).state).items():
        log.info("measure_not_taken", extra={"measure": measure, "not_declared": lacks})
    metrics.accounts_cap.set(settings.accounts)
    metrics.plan.labels(fingerprint(plan)).set(1)
    metrics.model.labels(model.fingerprint).set(1)
    written = formats.at(durable.write)["scorer_state"]
    usage = usage_lanes(
        kafka.partitions, plan, model, settings.duplicate_ids, metrics, settings.accounts, written=written
    )
    attribution = attribution_lanes(
        settings.waiting_bounds,
        settings.users,
        settings.duplicate_ids,
        AttributionMetrics(registry),
        settings.user_bytes,
    )
    specs = [usage, attribution, fleet_lane()]
    worker = Worker(GROUP, specs, kafka, engine, registry, process)
    app = Starlette(routes=ops_routes(registry, worker.not_ready, worker.not_alive))
    async with serving(app, process.http_host, process.http_port):
        working = asyncio.create_task(worker.run())
        stopping = asyncio.create_task(stop.wait())
        ticking = asyncio.create_task(_tick(worker, kafka, metrics))
        await asyncio.wait([working, stopping, ticking], return_when=asyncio.FIRST_COMPLETED)
        ticking.cancel()
        stopping.cancel()
        worker.stop()
        await working
        with suppress(asyncio.CancelledError):
            await ticking


async def _tick(worker: Worker, kafka: KafkaSettings, metrics: ScorerMetrics) -> None:
    """Move the clocks of the lanes that this worker has; ends by an error only, which ends the process."""
    await wait_for_broker(kafka)
    async with asyncio.TaskGroup() as group:
        group.create_task(_tick_topic(USAGE_EVENTS, worker, kafka, metrics))
        settling = Settling(lambda: worker.open_lanes(USAGE_UNATTRIBUTED), lambda: settle(kafka))
        group.create_task(settling.run())
        group.create_task(_tick_topic(USAGE_UNATTRIBUTED, worker, kafka, metrics, settling))


async def _tick_topic(
    topic: str, worker: Worker, kafka: KafkaSettings, metrics: ScorerMetrics, settling: Settling | None = None
) -> None:
    sender = TickSender(kafka.scoped(topic), lambda: tick_producer(kafka))
    try:
        await Ticker(
            lambda: worker.open_lanes(topic), sender, metrics, watched=settling is None,
            settled=lambda: settling.at if settling else 0,
        ).run()  # fmt: skip
    finally:
        await sender.close()


async def settle(kafka: KafkaSettings) -> None:
    """
    Return once all lanes of attribution have read what is on usage-unattributed now, and what followed from it.

    Raises:
        NotAttributed: they had not in ten minutes.
    """
    wait = AttributionWait(
        kafka, partial(read_ends, kafka, USAGE_UNATTRIBUTED), read_positions, SETTLED_WITHIN_S, ASK_EVERY_S
    )
    await wait.settle()


def check(
    _kafka: KafkaSettings,
    _process: ProcessSettings,
    _engine: EngineSettings,
    settings: ScorerSettings,
    _durable: FormatSettings,
) -> None:
    """Raise what is wrong with the tracking plan and the model."""
    load_scoring(settings)


def main(argv: list[str] | None = None) -> int:
    """Run the scorer and return its exit status."""
    kinds: list[type[Settings]] = [KafkaSettings, ProcessSettings, EngineSettings, ScorerSettings, FormatSettings]
    return run_service("scorer", argv, kinds, run, check)


if __name__ == "__main__":
    status = main()
    early_stop.end_undisturbed()
    sys.exit(status)
