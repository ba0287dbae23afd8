"""The console's own process, for one that runs apart from the warehouse and reads the API at an address."""

from __future__ import annotations

from services.shared.process import early_stop

if __name__ == "__main__":
    early_stop.end_at_once()  # the imports below take a second or more

import argparse
import logging
import os
import sys

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Mount

from services.console.api_client import Apart
from services.console.app import console_app
from services.console.identity import on_loopback
from services.console.settings import ConsoleSettings
from services.shared.errors import Fatal
from services.shared.http.server import ops_routes, serving
from services.shared.process.lifecycle import run_service, stop_event
from services.shared.settings import ProcessSettings

log = logging.getLogger(__name__)


async def run(process: ProcessSettings, settings: ConsoleSettings) -> None:
    """
    Run until SIGTERM or SIGINT.

    Raises:
        Fatal: no API is named.
    """
    if settings.api is None:
        raise Fatal("TIDEMARK_CONSOLE_API: name the address of the query API, for example http://127.0.0.1:8081")
    upstream = Apart(settings.api)
    console = console_app(upstream, settings, is_open=is_open(process.http_host, settings))
    routes = [*ops_routes(CollectorRegistry(), lambda: None), Mount("/", console)]
    stop = stop_event()
    app = Starlette(routes=routes)
    server = serving(app, process.http_host, process.http_port, proxy_headers=False)
    async with upstream.client, upstream.streams, server as port:
        log.info("listening", extra={"port": port, "api": settings.api})
        await stop.wait()


def is_open(host: str, settings: ConsoleSettings) -> bool:
    """Return whether those on this machine are let in without signing in: not with a proxy that signs people in, or a token."""
    return on_loopback(host) and settings.user_header is None and settings.api_token is None


def main(argv: list[str] | None = None) -> int:
    """Run the console, or check its configuration; return the exit status. `--api URL` is TIDEMARK_CONSOLE_API."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--api")
    given, others = parser.parse_known_args(argv)
    if given.api:
        os.environ["TIDEMARK_CONSOLE_API"] = given.api
    return run_service("console", others, [ProcessSettings, ConsoleSettings], run)


if __name__ == "__main__":
    status = main()
    early_stop.end_undisturbed()
    sys.exit(status)
