"""
Runs the alerter: `python -m services.alerter`, the same as `tidemark alerter`.

`--check-config` lists everything that is wrong with settings and rules, by variable, file and field. On SIGTERM it
commits what it has judged and leaves with status 0.
"""

from __future__ import annotations

from services.shared.process import early_stop

if __name__ == "__main__":
    early_stop.end_at_once()  # the imports below take a second or more

import asyncio
import logging
import sys

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from schemas.topics import ACCOUNT_HEALTH
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import alerter_lanes
from services.alerter.rule_files import load_rules
from services.alerter.settings import AlerterSettings
from services.shared.engine.settings import EngineSettings
from services.shared.engine.worker.worker import Worker
from services.shared.http.server import ops_routes, serving
from services.shared.kafka.settings import KafkaSettings
from services.shared.process.lifecycle import run_service, stop_event
from services.shared.settings import ProcessSettings, Settings

log = logging.getLogger(__name__)

GROUP = "alerter"
_METRICS_EVERY_S = 5.0


async def run(
    kafka: KafkaSettings, process: ProcessSettings, engine: EngineSettings, settings: AlerterSettings
) -> None:
    """Judge snapshots until SIGTERM."""
    stop = stop_event()
    registry = CollectorRegistry()
    rules = load_rules(settings.rules_dir, settings.rules_overrides)
    metrics = AlerterMetrics(registry)
    metrics.rules_in_force(rules)
    log.info("rules_in_force", extra={"version": rules.version, "rules": len(rules.ordered)})
    worker = Worker(GROUP, [alerter_lanes(rules, metrics)], kafka, engine, registry, process)
    app = Starlette(routes=ops_routes(registry, worker.not_ready, worker.not_alive))
    async with serving(app, process.http_host, process.http_port):
        working = asyncio.create_task(worker.run())
        stopping = asyncio.create_task(stop.wait())
        tidying = asyncio.create_task(_forget_lost_partitions(worker, metrics))
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        tidying.cancel()
        stopping.cancel()
        worker.stop()
        await working


async def _forget_lost_partitions(worker: Worker, metrics: AlerterMetrics) -> None:
    """Keep the gauges to the lanes that this worker has, so that a sum over workers counts each once."""
    while True:
        await asyncio.sleep(_METRICS_EVERY_S)
        metrics.keep(worker.open_lanes(ACCOUNT_HEALTH))


def check(_kafka: KafkaSettings, _process: ProcessSettings, _engine: EngineSettings, settings: AlerterSettings) -> None:
    """Raise what is wrong with the rules."""
    load_rules(settings.rules_dir, settings.rules_overrides)


def main(argv: list[str] | None = None) -> int:
    """Run the alerter and return its exit status."""
    kinds: list[type[Settings]] = [KafkaSettings, ProcessSettings, EngineSettings, AlerterSettings]
    return run_service("alerter", argv, kinds, run, check)


if __name__ == "__main__":
    status = main()
    early_stop.end_undisturbed()
    sys.exit(status)
