"""The warehouse's process: the only place that knows which store, which log and which server it runs with."""

from __future__ import annotations

from services.shared import logging as logs
from services.shared.process import early_stop

if __name__ == "__main__":
    early_stop.end_at_once()  # the imports below take a second or more

import asyncio
import contextlib
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Coroutine
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from services.console.api_client import InProcess
from services.console.app import console_app
from services.console.settings import ConsoleSettings
from services.shared import exit_status
from services.shared.errors import ConfigurationError, Retryable
from services.shared.http.server import ops_routes, serving
from services.shared.kafka.asking import until_answered
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topics import partitions_of, refuse_misfits
from services.shared.kafka.watch import ClusterWatch
from services.shared.process.garbage import collect_less_often
from services.shared.process.lifecycle import run_service, stop_event
from services.shared.settings import ProcessSettings, Settings
from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded, open_server
from services.warehouse.domain.refusals import Refusals
from services.warehouse.domain.rows import TABLE_OF_TOPIC
from services.warehouse.filling.sink import KafkaSink
from services.warehouse.http.app import query_app
from services.warehouse.http.erasing import erasing_routes
from services.warehouse.http.exporting import exporting_routes
from services.warehouse.http.feed import Feed
from services.warehouse.http.front import api_or
from services.warehouse.http.guard import Guard, is_loopback, with_cors
from services.warehouse.http.registry import registry_routes
from services.warehouse.http.tokens import VARIABLE, Tokens, read
from services.warehouse.http.turns import QueryTurns
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import why
from services.warehouse.refusal_tail import follow
from services.warehouse.settings import RetentionSettings, WarehouseSettings

log = logging.getLogger(__name__)

_LEAVE_WITHIN_S = 5.0
_END_WITHIN_S = 22.0
"""Supervisors kill what has not ended 25 s after SIGTERM; a call to a server of ClickHouse that hangs takes five minutes."""


class Warehouse:
    """One running warehouse: the store once it is open, and who asks for it."""

    def __init__(
        self,
        kafka: KafkaSettings,
        process: ProcessSettings,
        settings: WarehouseSettings,
        retention: RetentionSettings,
        console: ConsoleSettings,
    ) -> None:
        self._kafka = kafka
        self._console = console
        self._process = process
        self._settings = settings
        self._retention = retention
        self._store: ClickHouseStore | None = None
        self._not_open = "the store is not open yet"
        self._sink: KafkaSink | None = None
        self._registry = CollectorRegistry()
        self._metrics = WarehouseMetrics(self._registry)
        self._feed = Feed(self._opened)
        self._refusals = Refusals()
        self._watch = ClusterWatch(kafka, process.liveness_s)
        self._tokens: Tokens | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve and store until `stop` is set; then store what was read, and close."""
        # Whom to believe about the reader is the console's own question: the server must not put another address in.
        host, port = self._process.http_host, self._process.http_port
        async with serving(self.application(), host, port, proxy_headers=False) as port:
            log.info("listening", extra={"port": port})
            try:
                await self._until(stop, self._start())
                if self._sink and not stop.is_set():
                    await self._store_until(stop, self._sink)
            finally:
                self._feed.close()
                if self._store:
                    await asyncio.to_thread(self._store.close)

    def application(self) -> Starlette:
        """Return what the process serves: what operators and standard consumers ask, the query API, and the console."""
        turns = QueryTurns()
        more = [*erasing_routes(self._opened, turns), *exporting_routes(self._opened)]
        api = query_app(self._opened, self._metrics, feed=self._feed, refusals=self._refusals, more=more, turns=turns)
        guarded = self._guarded(api)
        return Starlette(
            routes=[
                *ops_routes(
                    self._registry,
                    self._not_ready,
                    self._watch.not_alive,
                    unreadable=lambda: self._tokens.unreadable() if self._tokens else [],
                ),
                *registry_routes(self._kafka.topic_prefix),
                Mount("", api_or(guarded, self._console_over(api, guarded))),
            ]
        )

    def _console_over(self, api: ASGIApp, guarded: ASGIApp) -> ASGIApp:
        """Return the console: readers with a token ask the guarded API, others were let in by the console itself."""
        has_tokens = self._settings.query_tokens_file is not None
        is_open = is_loopback(self._process.http_host) and not has_tokens and self._console.user_header is None
        upstream = InProcess(api, guarded if has_tokens else None)
        # In this process readers who were let in need no token.
        return console_app(upstream, self._console.model_copy(update={"api_token": None}), is_open=is_open)

    def _guarded(self, app: ASGIApp) -> ASGIApp:
        file = self._settings.query_tokens_file
        self._tokens = Tokens(file, self._metrics.tokens_unreadable) if file else None
        return with_cors(Guard(app, self._tokens, self._metrics), self._settings.cors_origins)

    async def _start(self) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Retryable),
            wait=wait_exponential_jitter(multiplier=0.2, max=10.0),
            before_sleep=self._opening_failed,
        ):
            with attempt:
                self._store = await asyncio.to_thread(self._open)
        await until_answered(self._kafka, lambda: refuse_misfits(self._kafka, TABLE_OF_TOPIC))
        self._watch.answered()
        self._sink = KafkaSink(self._kafka, self._settings, self._opened(), self._metrics, self._feed.publish)

    def _opening_failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._not_open = why(error)
        self._metrics.failures.inc()
        log.warning("store_does_not_open", extra={"error": str(error), "attempt": state.attempt_number})

    def _open(self) -> ClickHouseStore:
        url, database = self._settings.clickhouse_url, self._settings.clickhouse_database
        if url is not None:
            store = open_server(url.get_secret_value(), database)
        else:
            store = open_embedded(self._process.data_dir / "clickhouse", database, self._settings.memory_mb)
            # The engine's client writes the rows of each insert to a temporary file, which a kill leaves behind.
            tempfile.tempdir = str(store.files)
        self._metrics.lost(part.table for part in store.lost)
        try:
            store.keep_for(self._retention)
        except Retryable:
            store.close()
            raise
        return store

    async def _until(self, stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
        """Await `work`, but not past the word to stop."""
        task = asyncio.create_task(work)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            task.result()
        else:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _store_until(self, stop: asyncio.Event, sink: KafkaSink) -> None:
        """Run the sink, and end it where the topics no longer fit."""
        over = asyncio.Event()
        expected = {topic: partitions_of(self._kafka, topic) for topic in TABLE_OF_TOPIC}
        watching = asyncio.create_task(self._watch.run(expected))
        watching.add_done_callback(lambda _: over.set())
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: over.set())
        following = asyncio.create_task(follow(self._kafka, self._refusals))
        try:
            await sink.run(over)
        finally:
            following.cancel()
            stopping.cancel()
            watching.cancel()
            await asyncio.wait({following}, timeout=_LEAVE_WITHIN_S)
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    def _opened(self) -> ClickHouseStore:
        if self._store is None:
            raise Retryable(self._not_open)
        return self._store

    def _not_ready(self) -> str | None:
        if self._store is None:
            return self._not_open
        return (self._watch.not_ready() or self._sink.not_ready()) if self._sink else "no broker answers yet"


async def run(
    kafka: KafkaSettings,
    process: ProcessSettings,
    settings: WarehouseSettings,
    retention: RetentionSettings,
    console: ConsoleSettings,
) -> None:
    """Run until SIGTERM."""
    collect_less_often()
    stop = stop_event()
    asked = asyncio.create_task(stop.wait())
    asked.add_done_callback(_end_in_time)  # cancelled with the loop where nobody asked, and the end has come by itself
    await Warehouse(kafka, process, settings, retention, console).run(stop)


def _end_in_time(_: object) -> None:
    """Have the process end although a call of the store does not: a thread that waits for its answer cannot be cancelled."""

    def leave() -> None:
        log.critical("ended_without_an_answer_of_the_store")
        logs.flush()
        os._exit(exit_status.FAIL_STOP)  # what was not stored is read again

    timer = threading.Timer(_END_WITHIN_S, leave)
    timer.daemon = True
    timer.start()


def check(_: KafkaSettings, process: ProcessSettings, settings: WarehouseSettings, *__: object) -> None:
    """Raise what is wrong with who may ask."""
    if settings.query_tokens_file is not None:
        read(settings.query_tokens_file)
    elif not is_loopback(process.http_host):
        why = f"TIDEMARK_HTTP_HOST is {process.http_host}, and whoever reaches it could read all accounts"
        hint = f"must be set, since {why}; `tidemark tokens create --file FILE` makes the file"
        raise ConfigurationError([f"{VARIABLE}: {hint}"])


def main(argv: list[str] | None = None) -> int:
    """Run the warehouse, or check its configuration; return the exit status."""
    kinds: list[type[Settings]] = [
        KafkaSettings,
        ProcessSettings,
        WarehouseSettings,
        RetentionSettings,
        ConsoleSettings,
    ]
    return run_service("warehouse", argv, kinds, run, check)


if __name__ == "__main__":
    status = main()
    early_stop.end_undisturbed()
    sys.exit(status)
