"""
Runs ingest: `python -m services.ingest`, the same as `tidemark ingest`.

On SIGTERM it stops accepting, answers what it has, waits for Kafka and leaves with status 0. `--workers N` runs so many
processes on one port.
"""

from __future__ import annotations

from services.shared.process import early_stop

if __name__ == "__main__":
    early_stop.end_at_once()  # the imports below take a second or more

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from services.ingest import workers
from services.ingest.accounts_file import load_accounts
from services.ingest.connections.deadlines import protocol
from services.ingest.dialects.registry import every_route
from services.ingest.event_log.kafka import KafkaEventLog
from services.ingest.http import openapi
from services.ingest.http.app import IngestApp
from services.ingest.http.receiving import Reception
from services.ingest.intake import EventIntake
from services.ingest.live.access import Access
from services.ingest.live.log_tail import LogTail
from services.ingest.live.routes import Live
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import WRITES, EventLog
from services.ingest.service import IngestService
from services.ingest.settings import IngestSettings
from services.ingest.webhooks import endpoints as webhook_endpoints
from services.ingest.webhooks.door import WebhookDoor
from services.ingest.webhooks.endpoints import Endpoints
from services.ingest.write_keys import keys as write_keys
from services.ingest.write_keys.budgets import Budgets
from services.ingest.write_keys.keys import WriteKeys
from services.shared.errors import ConfigurationError
from services.shared.http.server import ops_routes, serving
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topics import partitions_of
from services.shared.kafka.watch import ClusterWatch
from services.shared.plan_file import load_plan
from services.shared.process.garbage import collect_less_often
from services.shared.process.lifecycle import run_service, stop_event
from services.shared.settings import ProcessSettings

_FILES_EVERY_S = 1.0
_FILES_BESIDE = 200
"""Files that a process has open beside its clients' connections, at most: Kafka, logs, libraries."""


def application(
    event_log: EventLog,
    keys: WriteKeys,
    metrics: IngestMetrics,
    settings: IngestSettings,
    name: str = "",
    endpoints: Endpoints | None = None,
    live: Live | None = None,
) -> IngestApp:
    """Put the ASGI application together over any event log; `name` is that of this process in its events."""
    rules = settings.rules()
    metrics.plan.labels(rules.plan.fingerprint).set(1)
    metrics.accounts.labels(rules.accounts.fingerprint).set(1)
    service = IngestService(
        event_log=event_log,
        rules=rules,
        metrics=metrics,
        clock_ms=lambda: time.time_ns() // 1_000_000,
        assign_id=lambda: "assigned-" + uuid.uuid4().hex,
        name=name,
    )
    hooks = endpoints or Endpoints({})
    rest = Starlette(
        routes=ops_routes(
            metrics.registry, event_log.not_ready, not_alive=event_log.wedged, slow=event_log.slow,
            unreadable=lambda: keys.unreadable + hooks.unreadable,
        )
    )  # fmt: skip
    reception = Reception(settings.max_body_bytes, settings.max_in_flight_bytes)
    door = WebhookDoor(hooks, reception, metrics, time.time, settings.webhook_tolerance_s)
    budgets = Budgets(keys, metrics, 1 / settings.workers)
    intake = EventIntake(service, keys, metrics, reception, budgets, door, settings.public_url)
    routes = every_route()
    intake.description = openapi.document(routes, settings.rules().limits)
    shown = live.app if live is not None else None
    return IngestApp(intake=intake, routes=routes, metrics=metrics, rest=rest, live=shown)


def server_options(settings: IngestSettings, metrics: IngestMetrics | None = None) -> dict[str, Any]:
    """Return what uvicorn is told beyond the defaults of every process."""
    closed: Callable[[str], None] = (lambda why: metrics.connections_closed.labels(why).inc()) if metrics else _nobody
    crowded: Callable[[str], None] = (lambda source: metrics.crowded.labels(source).inc()) if metrics else _nobody
    return {
        "http": protocol(settings.request_timeout_s, _connections(settings.max_connections), closed, crowded),
        "ws": "none",
        "proxy_headers": False,
        "timeout_keep_alive": 75,
        "date_header": False,
        "backlog": 4096,
        "timeout_graceful_shutdown": int(settings.ack_timeout_s) + 2,
    }


def _nobody(_why: str) -> None:
    """Count nothing."""


def _connections(wanted: int) -> int:
    """Return how many connections there may be: what is wanted, or what the limit of open files leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(16, soft - _FILES_BESIDE)
    return wanted


async def run(kafka: KafkaSettings, process: ProcessSettings, settings: IngestSettings) -> None:
    """Serve until SIGTERM."""
    if settings.workers > 1 and not settings.worker:
        await workers.supervise(process, settings.workers)
        return
    collect_less_often()
    stop = stop_event()
    metrics = IngestMetrics(CollectorRegistry())
    keys = WriteKeys.from_file(settings.write_keys_file, metrics)
    metrics.pseudonym_key.labels(settings.pseudonyms().fingerprint).set(1)
    watch = ClusterWatch(kafka, process.liveness_s)
    event_log = KafkaEventLog(kafka, settings.bounds(process.liveness_s), metrics, absent=watch.absent, why=watch.why)
    endpoints = Endpoints.from_file(settings.webhooks_file, metrics)
    live = Live(LogTail(kafka), Access(settings.live_token))
    name = f"{socket.gethostname()}-{process.slot}" + (f"-{settings.worker}" if settings.worker else "")
    app = application(event_log, keys, metrics, settings, name, endpoints, live)
    gc.freeze()  # modules, settings, routes: nothing of that becomes garbage
    event_log.start()
    files = asyncio.create_task(_watch_files(keys, endpoints))
    stopped = asyncio.create_task(stop.wait())
    cluster = asyncio.create_task(watch.run({topic: partitions_of(kafka, topic) for topic in WRITES}))
    ends: list[asyncio.Future[Any]] = [stopped, event_log.failed, cluster]
    try:
        async with _served(app, process, settings, metrics):
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            live.close()
    finally:
        for task in (files, stopped, cluster):
            task.cancel()
        await event_log.close()
    if event_log.failed.done():
        event_log.failed.result()
    with contextlib.suppress(asyncio.CancelledError):
        await cluster


@contextlib.asynccontextmanager
async def _served(
    app: IngestApp, process: ProcessSettings, settings: IngestSettings, metrics: IngestMetrics
) -> AsyncIterator[None]:
    """Serve on the port; as one of several workers there also on a port of its own, where its metrics are."""
    options = server_options(settings, metrics)
    if not settings.worker:
        async with serving(app, process.http_host, process.http_port, **options):
            yield
        return
    own = workers.own_port(process.http_port, settings.worker)
    async with (
        serving(app.among(settings.workers, own), process.http_host, process.http_port, shared=True, **options),
        serving(app, process.http_host, own, **options),  # who is ready there is on the shared port too
    ):
        yield


def check(_kafka: KafkaSettings, process: ProcessSettings, settings: IngestSettings) -> None:
    """Raise what is wrong with the files that the settings name, and with the settings together."""
    problems = workers.problems(process, settings.workers)
    for read in (
        lambda: write_keys.read(settings.write_keys_file),
        lambda: webhook_endpoints.read(settings.webhooks_file),
        lambda: load_plan(settings),
        lambda: load_accounts(settings.accounts_file),
    ):
        try:
            read()
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)


async def _watch_files(*files: WriteKeys | Endpoints) -> None:
    while True:
        await asyncio.sleep(_FILES_EVERY_S)
        for file in files:
            file.refresh()


def main(argv: list[str] | None = None) -> int:
    """Run ingest and return its exit status."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--workers")
    chosen, argv = parser.parse_known_args(argv)
    if chosen.workers is not None:
        os.environ["TIDEMARK_INGEST_WORKERS"] = chosen.workers  # the workers read it too
    return run_service("ingest", argv, [KafkaSettings, ProcessSettings, IngestSettings], run, check)


if __name__ == "__main__":
    status = main()
    early_stop.end_undisturbed()
    sys.exit(status)
