# ruff: noqa: E402
"""Entry point of `tidemark`."""

from __future__ import annotations

import sys

from services.shared.ports import APART, PORTS
from services.shared.process import early_stop

_RUNS_A_SERVICE = len(sys.argv) > 1 and sys.argv[1] in PORTS | APART
if _RUNS_A_SERVICE:
    early_stop.end_at_once()  # the imports below, and those of the service, take a second or more
else:
    early_stop.end_as_interrupted()

import errno
import logging
import os
from importlib import import_module
from typing import Annotated

import typer

from services.cli.kafka_errors import to_do
from services.cli.terminal import open_streams, tell
from services.shared import exit_status
from services.shared.errors import TidemarkError
from services.shared.formats import FormatSettings, use_formats
from services.shared.kafka.log_throttle import RepeatFilter
from services.shared.registry import RegistrySettings, use_registry
from services.shared.release import release
from services.shared.settings import load

COMMANDS = (
    "dev",
    "demo",
    "status",
    "services",
    "topics",
    "keys",
    "tokens",
    "accounts",
    "clock",
    "backfill",
    "backtest",
    "rejected",
    "signals",
    "report",
    "explain",
    "tail",
    "rules",
    "plan",
    "ledger",
    "disclose",
    "erase",
    "export",
    "doctor",
)
"""The modules of services.cli.commands that have sub-commands, in the order of `tidemark --help`."""

_OF_A_FILE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""What is wrong with a file or folder that somebody named, or that is another user's; no defect."""

app = typer.Typer(
    name="tidemark",
    help="Finds accounts that drift away, and accounts that are ready for more, from how they use the product.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_release(wanted: bool) -> None:
    if wanted:
        print(f"tidemark {release()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_release, is_eager=True, help="Say which release this is, and exit."),
    ] = False,
) -> None:
    """Take what stands before the command."""


def main() -> None:
    """Run the tool; print errors of Tidemark to standard error and exit with its status (docs/errors.md)."""
    open_streams()
    # The tool itself says what it waits for; the client library's single attempts are noise.
    handler = logging.StreamHandler()
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    for name in COMMANDS:
        import_module(f"services.cli.commands.{name}").register(app)
    try:
        use_registry(load(RegistrySettings))
        use_formats(load(FormatSettings))
        early_stop.interruptible()
        try:
            app()
        finally:
            if _RUNS_A_SERVICE:
                early_stop.end_undisturbed()
            sys.stdout.flush()  # while its failure can still be said
    except TidemarkError as error:
        tell(f"tidemark: {error}", sys.stderr)
        sys.exit(exit_status.of(error))
    except OSError as error:
        if error.errno in _OF_A_FILE and error.filename:
            tell(f"tidemark: {error.filename} cannot be used: {error.strerror}", sys.stderr)
            sys.exit(exit_status.WRONG_SETTINGS)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = (
            f" at {error.filename}" if error.filename else ", where the output goes or in the folder of temporary files"
        )
        print(f"tidemark: the disk is full{where}: make room, and run it again", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python's own end would try to print the rest
        sys.exit(1)
    except Exception as error:
        if not type(error).__module__.startswith("aiokafka"):
            raise
        helps = to_do(error, "`tidemark doctor` says whether it can be reached")
        print(f"tidemark: Kafka: {error!r}; {helps}", file=sys.stderr)
        sys.exit(exit_status.FATAL)


if __name__ == "__main__":
    main()
