"""
Where the running Tidemark is: what `tidemark dev` wrote down, or the environment.

`tidemark dev` writes `status.json` into its data folder. Every other command finds the addresses there, so that
`--data DIR`, or nothing at all, is enough to reach the stack on this machine. Variables in the environment win.
"""

from __future__ import annotations

import fcntl
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

import msgspec
import typer

from services.cli.local import secret_files
from services.shared.errors import ConfigurationError, Fatal
from services.shared.http.addresses import host_of
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import load

DEFAULT_DATA = Path(".data/dev")
_SAYS_NOTHING_S = 3.0

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="The data folder of `tidemark dev`.", show_default=str(DEFAULT_DATA)),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class StackState(msgspec.Struct, frozen=True, kw_only=True):
    """What `tidemark dev` writes down: how to reach everything of it."""

    data: str
    kafka: str
    embedded: bool
    topic_prefix: str
    partitions: int
    replication: int | None
    addresses: dict[str, str]
    write_keys_file: str
    write_key: str
    backfill_key: str
    live: str
    """Address of the page that shows events as they arrive, with its token."""
    supervisor: str
    """Path of the supervisor's unix socket."""
    pid: int
    """Of `tidemark dev` itself."""


@dataclass(frozen=True, slots=True)
class Running:
    """How to reach a running Tidemark."""

    kafka: KafkaSettings
    ingest: str | None
    warehouse: str | None
    write_key: str | None
    """A key of a production source."""
    backfill_key: str | None
    """A key that may send history."""
    state: StackState | None
    """None: not started by `tidemark dev`."""
    query_token: str | None = None
    """A token of the query API, if the warehouse needs one."""


def data_folder(data: Path | None) -> Path:
    """Return the data folder that was named, or the default one."""
    return (data or Path(os.environ.get("TIDEMARK_DEV_DATA") or DEFAULT_DATA)).resolve()


def read_state(data: Path | None) -> StackState | None:
    """Return what the `tidemark dev` of a data folder has written into it; None when none runs, also if it was killed."""
    file = data_folder(data) / "status.json"
    try:
        written = file.read_bytes()
        return msgspec.json.decode(written, type=StackState) if _is_held(data_folder(data)) else None
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise Fatal(f"{file} is not a state file of this version ({error}): start `tidemark dev` again") from error


def lock_file(folder: Path) -> Path:
    """Return the file that `tidemark dev` keeps locked in its data folder for as long as it runs."""
    return folder / "lock"


def hold(folder: Path) -> IO[str]:
    """
    Return the lock of a data folder, held for as long as it is open.

    Raises:
        Fatal: a Tidemark runs there.
    """
    lock = lock_file(folder).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise Fatal(f"a Tidemark runs in {folder} already: stop it first, or use another --data") from error
    return lock


def _is_held(folder: Path) -> bool:
    try:
        with lock_file(folder).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return not isinstance(error, FileNotFoundError)
    return False


def write_state(state: StackState) -> None:
    """Write the state file, all or nothing."""
    file = Path(state.data) / "status.json"
    secret_files.replace(file, msgspec.json.format(msgspec.json.encode(state)).decode())


def find(data: Path | None = None) -> Running:
    """
    Return how to reach the running Tidemark.

    Addresses come from KAFKA_BOOTSTRAP_SERVERS, TIDEMARK_INGEST_URL, TIDEMARK_WAREHOUSE_URL, TIDEMARK_WRITE_KEY,
    TIDEMARK_BACKFILL_KEY and TIDEMARK_QUERY_TOKEN where they are set, otherwise from the data folder.

    Raises:
        ConfigurationError: a variable has a wrong value.
    """
    state = read_state(data)
    env = os.environ.get
    given = {}
    if state and not env("KAFKA_BOOTSTRAP_SERVERS"):
        given = {
            "bootstrap_servers": state.kafka, "topic_prefix": state.topic_prefix,
            "partitions": state.partitions, "replication": state.replication,
        }  # fmt: skip
    addresses = state.addresses if state else {}
    problems = _wrong_addresses()
    try:
        kafka = load(KafkaSettings, **given)
    except ConfigurationError as error:
        raise ConfigurationError([*error.problems, *problems]) from error
    if problems:
        raise ConfigurationError(problems)
    return Running(
        kafka=kafka,
        ingest=env("TIDEMARK_INGEST_URL") or addresses.get("ingest"),
        warehouse=env("TIDEMARK_WAREHOUSE_URL") or addresses.get("warehouse"),
        write_key=env("TIDEMARK_WRITE_KEY") or (state.write_key if state else None),
        backfill_key=env("TIDEMARK_BACKFILL_KEY") or (state.backfill_key if state else None),
        state=state,
        query_token=env("TIDEMARK_QUERY_TOKEN"),
    )


def _wrong_addresses() -> list[str]:
    """Say which addresses of services cannot be asked; they may hold passwords, so none is shown."""
    variables = ("TIDEMARK_INGEST_URL", "TIDEMARK_WAREHOUSE_URL")
    given = {name: address for name in variables if (address := os.environ.get(name))}
    return [f"{name}: give an address such as http://127.0.0.1:8080" for name in given if not host_of(given[name])]


def cluster(data: Path | None = None) -> KafkaSettings:
    """
    Return the cluster of the running Tidemark, for commands that have no use without one.

    Raises:
        Fatal: none runs, and no variable names a cluster.
    """
    running = find(data)
    if running.state is None and not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        raise Fatal(
            f"no Tidemark runs in {data_folder(data)}: start `tidemark dev`, give its --data, or set"
            " KAFKA_BOOTSTRAP_SERVERS to your cluster"
        )
    return running.kafka


async def reach(kafka: KafkaSettings, within_s: float = _SAYS_NOTHING_S) -> None:
    """
    Return once the cluster answers; a command has no use for waiting long, and says what it waits for.

    Raises:
        TidemarkError: it does not; the text says why, as far as can be known, and what to do.
    """
    from services.shared.kafka.clients import wait_for_broker

    def tell(cause: str) -> None:
        if within_s > _SAYS_NOTHING_S:
            print(f"waiting for Kafka: {cause}", file=sys.stderr, flush=True)

    await wait_for_broker(kafka, within_s, tell)
