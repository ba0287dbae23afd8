"""`tidemark doctor`: whether everything is here that Tidemark needs, and if not, what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import typer

from services.cli.examining import cluster, configurations, effects, machine, running
from services.cli.examining.findings import Finding, judge
from services.cli.local.stack_state import DataOption, data_folder, find, read_state
from services.shared.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(data: DataOption = None) -> None:
    """Check everything that Tidemark needs; exit status 1 if something is wrong, 78 if the topics do not fit."""
    bad = status = 0
    for finding in examine(data):
        print(f"{'ok ' if finding.good else 'BAD'}  {finding.what:14} {finding.detail}", flush=True)
        if not finding.good:
            bad += 1
            status = max(status, finding.status)
    if bad:
        print(f"{bad} of the above need attention")
        raise typer.Exit(status)


def examine(data: Path | None) -> Iterator[Finding]:
    """Yield what was found, one thing after the other."""
    yield Finding("python", sys.version_info >= (3, 11), f"{sys.version.split()[0]} in {sys.prefix}")
    yield judge("formats", machine.formats)
    embedded = not os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if embedded:
        yield judge("java", machine.java)
        yield judge("kafka jars", machine.jars)
    yield judge("disk", lambda: machine.disk(data_folder(data)))
    state = read_state(data)
    yield from configurations.look(configurations.of_folder(data_folder(data), state) if state or embedded else {})
    yield from configurations.misspelt()
    yield judge("measures", effects.measures)
    yield judge("holidays", machine.holidays)
    services = running.ask(state)
    topics = yield from _cluster(data, running.answering(services), embedded=embedded)
    yield from running.look(services, state, topics=topics)


def _cluster(data: Path | None, answering: Mapping[str, str], *, embedded: bool) -> Generator[Finding, None, bool]:
    """Look at the cluster if there is one; return whether it has topics."""
    try:
        found = find(data)
    except ConfigurationError as error:
        yield Finding("kafka", good=False, detail="; ".join(error.problems))
        return False
    if found.state is None and embedded:
        detail = f"none runs in {data_folder(data)}; `tidemark dev` starts one"
        if answering:
            detail += "; KAFKA_BOOTSTRAP_SERVERS is not set, so the cluster is not looked at"
        yield Finding("stack", good=True, detail=detail)
        return False
    return (yield from cluster.look(found, answering.get("ingest")))
