"""`tidemark dev`: the whole pipeline on this machine, in the foreground."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.local.given_key import KeyFileOption, new_key_of
from services.cli.local.stack_state import DEFAULT_DATA
from services.shared.errors import Fatal

if TYPE_CHECKING:
    from services.cli.local.stack import Stack


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dev")(dev)


def dev(
    port: Annotated[
        int, typer.Option(min=1, max=65532, help="Port of ingest; the other services take the next three.")
    ] = 8080,
    data: Annotated[Path, typer.Option(help="Folder for all data.", envvar="TIDEMARK_DEV_DATA")] = (DEFAULT_DATA),
    key_file: KeyFileOption = None,
) -> None:
    """
    Run the whole pipeline on this machine until Ctrl-C: Kafka, ingest, scorer, alerter, warehouse.

    Ingest accepts the write key of --key-file, of 22 characters or more; by default one is created at the first start.

    Processes that end are restarted. With KAFKA_BOOTSTRAP_SERVERS set, that cluster is used and no broker is started.
    """
    from services.cli.local.stack import Stack

    interrupt_on_signals()
    started = time.monotonic()
    try:
        with Stack(data, port, new_key_of(key_file), say=lambda text: print(f"  {text} ...", file=sys.stderr)) as stack:
            stop = stop_on_signals()
            tell_absence(stack)
            print(f"Tidemark is ready after {time.monotonic() - started:.1f} s; Ctrl-C stops it.")
            print(f"  {'console':10} {stack.state.addresses['warehouse']}/")
            for name, address in stack.state.addresses.items():
                print(f"  {name:10} {address}")
            print(f"  {'live':10} {stack.state.live}")
            print(f"  {'kafka':10} {stack.state.kafka}")
            print(f"  {'write key':10} {stack.state.write_key}")
            print(f"  {'data':10} {stack.data}", flush=True)
            tell_until(stop, stack)
            print("stopping ...", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped before it was ready", file=sys.stderr)
        raise typer.Exit(1) from None


def tell_until(stop: threading.Event, stack: Stack) -> None:
    """
    Say until `stop` what ends, and whether it is started again.

    Raises:
        Fatal: nothing can be started again.
    """
    told: set[str] = set()
    full = False
    while not stop.wait(1):
        failed = stack.failed()
        if failed:
            raise Fatal(failed)
        was_full, full = full, stack.disk_full()
        if full and not was_full:
            print(
                f"the disk of {stack.data} is full: make room; what ends is started again", file=sys.stderr, flush=True
            )
        for name, how in stack.started_again().items():
            print(f"{name} ended{f' ({how})' if how else ''}, started again", file=sys.stderr, flush=True)
        for name, log in stack.given_up().items():
            if name not in told:
                told.add(name)
                print(f"{name} has ended and is not started again; see {log}", file=sys.stderr, flush=True)


@contextmanager
def telling(stack: Stack) -> Iterator[None]:
    """Say meanwhile what ends, and whether it is started again; that nothing can be is for the caller to find out."""
    over = threading.Event()

    def tell() -> None:
        with suppress(Fatal):
            tell_until(over, stack)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def tell_absence(stack: Stack) -> None:
    """Accept the time since the last run, and say so: whoever starts the stack knows that it was away."""
    from services.cli.commands.clock import accept_absence
    from services.cli.local.stack_state import find

    said = asyncio.run(accept_absence(find(stack.data).kafka))
    if said:
        print(said, flush=True)


def interrupt_on_signals() -> None:
    """Let the first SIGINT, SIGTERM or SIGHUP cut short what is under way; the next do not cut short the end that it begins."""

    def interrupt(_signal: int, _frame: object) -> None:
        stop_on_signals()
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM, SIGINT or SIGHUP sets from now on."""
    event = threading.Event()

    def stop(_signal: int, _frame: object) -> None:
        event.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    return event
