"""The cluster: its topics, and what the log says of lanes, attribution and signals that are held."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

from services.cli.examining import clocks
from services.cli.examining.findings import Finding, judge
from services.cli.examining.running import clock
from services.cli.local.stack_state import Running, reach
from services.shared import exit_status
from services.shared.counts import counted
from services.shared.errors import TidemarkError

_MANY_RECORDS = 200_000
"""Health records: more than a doctor should wait for."""


def look(running: Running, ingest: str | None) -> Generator[Finding, None, bool]:
    """
    Look at the cluster of a Tidemark; nothing more where it does not answer. `ingest` is where it answered.

    Returns:
        Whether it has topics, so that services are meant to run.
    """
    from services.shared.kafka import replication, topics

    try:
        asyncio.run(reach(running.kafka))
    except TidemarkError as error:
        yield Finding("kafka", good=False, detail=str(error), status=exit_status.of(error))
        return False
    yield Finding("kafka", good=True, detail=f"answers at {running.kafka.bootstrap_servers}")
    problems = asyncio.run(topics.check(running.kafka))
    told = "as their definitions say" if not problems else "\n        ".join(problems)
    yield Finding("topics", not problems, told, exit_status.REFUSED)
    fewer = asyncio.run(replication.check(running.kafka))
    yield Finding("copies", not fewer, "as many as the cluster can keep" if not fewer else "\n        ".join(fewer))
    yield judge("log time", lambda: log_time(running))
    yield judge("ingest clocks", lambda: clocks.ingests(running.kafka))
    yield judge("attribution", lambda: _attribution(running))
    yield judge("held", lambda: held(running))
    if ingest is not None:
        yield judge("clock", lambda: clock(ingest))
    return asyncio.run(topics.any_exists(running.kafka))


def log_time(running: Running) -> str:
    """Say whether a lane waits for a person, or a backfill has its clock."""
    from services.scorer.lane_facts import read_lanes

    lanes = asyncio.run(read_lanes(running.kafka))
    waiting = [number for number, lane in sorted(lanes.items()) if lane.waiting is not None]
    if waiting:
        raise OSError(f"partitions {waiting} wait for a person to accept a step: see `tidemark clock show`")
    driven = [number for number, lane in sorted(lanes.items()) if lane.driven]
    if driven:
        return f"a backfill has the clock of partitions {driven}; live events are put off until it hands over"
    return "no lane waits for a person"


def _attribution(running: Running) -> str:
    from services.scorer.attribution_facts import read_counters

    lanes = asyncio.run(read_counters(running.kafka)).values()
    waiting = sum(lane.waiting_identified for lane in lanes)
    given_up = sum(lane.dead_lettered for lane in lanes)
    said = [
        counted(sum(lane.forwarded for lane in lanes), "event was given an account", "events were given an account")
    ]
    if waiting:
        wait = counted(waiting, "of an identified user waits", "of identified users wait")
        said.append(f"{wait} for one: `tidemark accounts unresolved` lists the users")
    if given_up:
        gone = counted(given_up, "of an identified user was given up", "of identified users were given up")
        said.append(f"{gone}: `tidemark accounts resolve` brings back what was")
    return "; ".join(said)


def held(running: Running) -> str:
    """Say how many accounts are held by their own calendar or programs."""
    from services.alerter.rule_files import load_rules
    from services.alerter.settings import AlerterSettings
    from services.cli.held import read_held, records_to_read
    from services.shared.settings import load

    if asyncio.run(records_to_read(running.kafka)) > _MANY_RECORDS:
        return "not looked at, there are too many accounts: `tidemark signals held` lists those that are held"
    settings = load(AlerterSettings)
    found = asyncio.run(read_held(running.kafka, load_rules(settings.rules_dir, settings.rules_overrides)))
    if not found:
        return "no account is held by its own calendar or programs"
    waiting = sum(bool(each.would_fire) for each in found)
    return (
        f"usage signals of {counted(len(found), 'account')} are held by planned absences, public holidays or programs,"
        f" conditions hold for {waiting:,} of these: `tidemark signals held` lists them"
    )
