"""How a service process begins and ends, the same for all; `exit_status` says what its end means."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType
from typing import cast

import uvloop

from schemas import codec
from services.shared import exit_status
from services.shared import logging as logs
from services.shared.errors import ConfigurationError, TidemarkError
from services.shared.formats import FormatSettings, in_words, use_formats
from services.shared.kafka.guard import die_with_parent
from services.shared.ports import APART, PORTS, port_of
from services.shared.process import early_stop
from services.shared.process.unknown_settings import no_effect, unknown_settings
from services.shared.registry import RegistrySettings, use_registry
from services.shared.release import release
from services.shared.settings import ProcessSettings, Settings, load_all

log = logging.getLogger(__name__)


def stop_event() -> asyncio.Event:
    """Return an event of the running loop that SIGTERM, SIGINT or SIGHUP sets; once the loop is closed, they do nothing."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked(_signal: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the end has begun
            loop.call_soon_threadsafe(stop.set)

    # Not by the loop, which gives them their usual effect back when it closes: who asks twice would meet that.
    for number in early_stop.wanted():
        signal.signal(number, asked)
    return stop


def run_service(
    name: str,
    argv: list[str] | None,
    kinds: Sequence[type[Settings]],
    run: Callable[..., Awaitable[None]],
    check: Callable[..., object] | None = None,
) -> int:
    """
    Run a service: read its settings, then `await run(*settings)`; return the exit status.

    With `--check-config` nothing runs. Either way every problem of every kind of settings is printed, then those of the
    ConfigurationError that `check(*settings)` raises about the files that they name.
    """
    contract = getattr(sys.modules.get(f"services.{name}"), "__doc__", None)
    parser = argparse.ArgumentParser(
        prog=f"tidemark {name}", description=contract, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check-config", action="store_true", help="read the configuration, list all that is wrong, start nothing"
    )
    options = parser.parse_args(argv)
    if os.environ.get("TIDEMARK_STOP_WITH_PARENT"):
        die_with_parent(signal.SIGTERM)
    unknown = list(unknown_settings(os.environ))
    try:
        settings, registry, durable = _read(name, kinds, check)
    except ConfigurationError as error:
        _warn(name, unknown)
        print(f"{name}: {error}", file=sys.stderr)
        return exit_status.WRONG_SETTINGS
    if options.check_config:
        _warn(name, unknown)
        print(f"{name}: the configuration is good")
        return 0
    logs.setup(name)
    for variable, meant in unknown:
        log.warning("no_setting", extra={"variable": variable, "meant": meant or None})
    use_formats(durable)
    return _run(name, run, settings, registry)


def _warn(name: str, unknown: Sequence[tuple[str, str]]) -> None:
    for variable, meant in unknown:
        print(f"{name}: warning: {no_effect(variable, meant)}", file=sys.stderr)


def _read(
    name: str, kinds: Sequence[type[Settings]], check: Callable[..., object] | None
) -> tuple[list[Settings], RegistrySettings, FormatSettings]:
    loaded, problems = load_all(*kinds, RegistrySettings, FormatSettings, logs.LogSettings)
    settings = [_with_its_port(name, each) for each in loaded[: len(kinds)] if each is not None]
    if check and len(settings) == len(kinds):
        try:
            check(*settings)
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return settings, cast(RegistrySettings, loaded[len(kinds)]), cast(FormatSettings, loaded[len(kinds) + 1])


def _with_its_port(name: str, settings: Settings) -> Settings:
    if isinstance(settings, ProcessSettings) and name in PORTS | APART and "http_port" not in settings.model_fields_set:
        return settings.model_copy(update={"http_port": port_of(name, settings.slot)})
    return settings


def _run(name: str, run: Callable[..., Awaitable[None]], settings: list[Settings], registry: RegistrySettings) -> int:
    async def started() -> None:
        log.info("started", extra={"pid": os.getpid(), "release": release(), "formats": in_words(codec.level())})
        await run(*settings)

    before = {number: signal.getsignal(number) for number in early_stop.STOPS}
    try:
        use_registry(registry)
        uvloop.run(started())
    except KeyboardInterrupt:
        return 0
    except TidemarkError as error:
        log.error("stopped_by_error", extra={"error": str(error), "kind": type(error).__name__})  # noqa: TRY400  the text says it all
        return exit_status.of(error)
    except Exception:
        log.exception("stopped_by_defect")
        return exit_status.FATAL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    log.info("stopped", extra={"service_name": name})
    return 0
