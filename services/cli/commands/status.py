"""`tidemark status`: addresses and state of the running processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from services.cli.local.stack_state import DataOption, JsonOption, StackState, data_folder, read_state
from services.shared.errors import Fatal


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(data: DataOption = None, as_json: JsonOption = False) -> None:
    """
    Show the address and state of each service; exit status 1 if not all are ready.

    Without a running `tidemark dev`, the services are asked at TIDEMARK_INGEST_URL, TIDEMARK_SCORER_URL and so on, or at
    their default ports on this machine.
    """
    from services.cli.local.readiness import NO_ANSWER

    state = read_state(data)
    facts = gather(state) if state else ask()
    if state is None and not any(facts["readiness"][name] != NO_ANSWER for name in facts["readiness"]):
        raise Fatal(
            f"no Tidemark runs in {data_folder(data)}, and no service answers at {', '.join(facts['addresses'].values())}:"
            " start `tidemark dev`, give its --data, or set TIDEMARK_INGEST_URL and so on"
        )
    if as_json:
        print(json.dumps(facts, indent=2))
    elif state:
        _show(facts)
    else:
        _show_services(facts)
    if not facts["ready"]:
        raise typer.Exit(1)


def ask() -> dict[str, Any]:
    """Return how services fare that nobody here has started."""
    from services.cli.local import readiness
    from services.cli.local.readiness import NO_ANSWER

    addresses = readiness.addresses()
    found = {name: reason or "ready" for name, reason in readiness.ask_all(addresses).items()}
    return {
        "ready": all(said == "ready" for said in found.values()),
        "addresses": addresses,
        "readiness": found,
        **_builds({name: address for name, address in addresses.items() if found[name] != NO_ANSWER}),
    }


def gather(state: StackState) -> dict[str, Any]:
    """Return everything that is known about a running stack."""
    from schemas.topics import TOPICS
    from services.cli.local.readiness import readiness_of_all
    from services.cli.local.supervision import Supervisor

    supervisor = Supervisor(Path(state.supervisor))
    running = supervisor.answers()
    processes = (
        {p["name"]: {"pid": p["pid"], "state": p["statename"]} for p in supervisor.processes()} if running else {}
    )
    if "kafka" in processes:
        # The one to look at, and to kill in a test, is the broker itself, not its launcher.
        with suppress(OSError, ValueError):  # not written yet, or on a disk that is full
            broker = int((Path(state.data) / "kafka" / "broker.pid").read_text())
            processes["kafka"] |= {"launcher_pid": processes["kafka"]["pid"], "pid": broker}
    waiting = readiness_of_all(state, supervisor)
    return {
        "ready": not waiting,
        "data": state.data,
        "pid": state.pid,
        "addresses": state.addresses,
        "readiness": {name: waiting.get(name, "ready") for name in state.addresses},
        **_builds(state.addresses),
        "kafka": {
            "bootstrap": state.kafka, "embedded": state.embedded, "topic_prefix": state.topic_prefix,
            "partitions": state.partitions, "replication": state.replication,
        },
        "topics": {name: state.topic_prefix + name for name in TOPICS},
        "processes": processes,
        "write_key": state.write_key,
        "backfill_key": state.backfill_key,
        "write_keys_file": state.write_keys_file,
        "live": state.live,
        "supervisor": state.supervisor,
        "logs": str(Path(state.data) / "logs"),
    }  # fmt: skip


def _builds(addresses: Mapping[str, str]) -> dict[str, Any]:
    from services.cli.local.readiness import build

    builds = {name: build(address) for name, address in addresses.items()}
    return {
        "releases": {name: each.release for name, each in builds.items()},
        "formats": {name: each.formats for name, each in builds.items()},
    }


def _show_services(facts: dict[str, Any]) -> None:
    print("ready" if facts["ready"] else "not ready")
    for name, address in facts["addresses"].items():
        print(f"  {name:10} {address}  {facts['readiness'][name]}")
    _show_builds(facts)


def _show_builds(facts: dict[str, Any]) -> None:
    """Say of which release services are, which level of formats they write, and the newest that all of those read."""
    for release in sorted(set(filter(None, facts["releases"].values()))):
        names = [name for name, each in facts["releases"].items() if each == release]
        print(f"  {'release':10} {release} is run by {', '.join(names)}")
    told = {name: each for name, each in facts["formats"].items() if each}
    for level in sorted({each["written"] for each in told.values()}):
        names = [name for name, each in told.items() if each["written"] == level]
        read = min(told[name]["read"] for name in names)
        print(f"  {'formats':10} level {level} is written, and up to {read} read, by {', '.join(names)}")


def _show(facts: dict[str, Any]) -> None:
    print("ready" if facts["ready"] else "not ready")
    for name, address in facts["addresses"].items():
        process = facts["processes"].get(name, {})
        print(f"  {name:10} {address}  {process.get('state', 'UNKNOWN')} pid {process.get('pid', '-')}"
              f"  {facts['readiness'][name]}")  # fmt: skip
    print(f"  {'kafka':10} {facts['kafka']['bootstrap']}  pid {facts['processes'].get('kafka', {}).get('pid', '-')}")
    _show_builds(facts)
    print(f"  {'live':10} {facts['live']}")
    print(f"  {'write key':10} {facts['write_key']}")
    print(f"  {'logs':10} {facts['logs']}")
