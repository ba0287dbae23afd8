"""The cluster: its topics, and what the log says of lanes, attribution and signals that are held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

from services.cli.examining import clocks
from services.cli.examining.findings import BrokerSilent, Finding, judge, told
from services.cli.examining.running import clock
from services.cli.kafka_errors import to_do
from services.cli.local.stack_state import Running, reach
from services.shared import exit_status
from services.shared.counts import counted
from services.shared.errors import TidemarkError

_ANSWER_WITHIN_S = 10.0
"""A broker that hangs takes connections, and aiokafka would wait 40 s for each answer."""
_TIMES = 3
_MANY_RECORDS = 200_000
"""Health records: more than a doctor should wait for."""
_ALL_HEALTH_WITHIN_S = 60.0
_MADE_BY_BROKERS = (
    "\n        brokers create topics by themselves: one that is deleted comes back with other settings as soon as somebody sends"
    " to it; set auto.create.topics.enable=false"
)


_Answer = TypeVar("_Answer")


def look(running: Running, ingest: str | None) -> Generator[Finding, None, bool]:
    """
    Look at the cluster of a Tidemark; nothing more where it does not answer. `ingest` is where it answered.

    Returns:
        Whether it has topics, so that services are meant to run.
    """
    from services.shared.kafka import replication, topics
    from services.shared.kafka.cause import find_cause

    try:
        asyncio.run(reach(running.kafka))
    except TidemarkError as error:
        yield Finding("kafka", good=False, detail=str(error), status=exit_status.of(error))
        return False
    away = asyncio.run(find_cause(running.kafka))
    answers = away.text if away else f"answers at {running.kafka.bootstrap_servers}"
    yield Finding("kafka", good=away is None, detail=answers)
    try:
        problems = _asked(lambda: topics.check(running.kafka))
        detail = "as their definitions say" if not problems else "\n        ".join(problems)
        if _asked(lambda: topics.made_by_brokers(running.kafka)):
            detail += _MADE_BY_BROKERS
        yield Finding("topics", not problems, detail, exit_status.REFUSED)
        fewer = [
            *_asked(lambda: replication.check(running.kafka)),
            *_asked(lambda: replication.of_brokers(running.kafka)),
        ]
        detail = _asked(lambda: replication.summary(running.kafka)) if not fewer else "\n        ".join(fewer)
        yield Finding("copies", not fewer, detail)
        short = _asked(lambda: replication.lacking(running.kafka))
        yield Finding("in sync", short is None, short or "all copies are")
        yield _judged("log time", lambda: log_time(running))
        yield _judged("ingest clocks", lambda: clocks.ingests(running.kafka))
        yield _judged("attribution", lambda: _attribution(running))
        yield _judged("held", lambda: held(running))
        there = _asked(lambda: topics.any_exists(running.kafka))
    except BrokerSilent as error:
        yield Finding("brokers", good=False, detail=str(error))
        there = True
    if ingest is not None:
        yield judge("clock", lambda: clock(ingest))
    return there


def _asked(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """
    Ask the cluster something, a few times beside each other where it takes long: another broker is asked then, perhaps.

    Raises:
        BrokerSilent: nobody answered in time.
    """
    from aiokafka.errors import KafkaError

    from services.shared.kafka.bootstrap import first_answer

    why = f"no answer within {_ANSWER_WITHIN_S:.0f} s"

    async def attempt() -> tuple[_Answer] | None:
        nonlocal why
        try:
            return (await ask(),)
        except KafkaError as error:
            why = str(error)
            return None

    async def within() -> tuple[_Answer] | None:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            found: tuple[_Answer] | None = await first_answer([attempt] * _TIMES)
            return found

    try:
        answer: tuple[_Answer] | None = asyncio.run(within())
    except TimeoutError:
        answer = None
    if answer is None:
        raise BrokerSilent(
            f"{_TIMES} times a broker did not answer ({why}): see to those that hang, then run this again"
        )
    return answer[0]


def _judged(what: str, look: Callable[[], str]) -> Finding:
    from aiokafka.errors import KafkaError

    try:
        return judge(what, look)
    except KafkaError as error:
        return Finding(what, good=False, detail=f"Kafka does not tell: {error}; {to_do(error, 'run this again')}")


def log_time(running: Running) -> str:
    """Say whether a lane waits for a person, or a backfill has its clock."""
    from services.scorer.lane_facts import read_lanes

    lanes = told(read_lanes(running.kafka))
    waiting = [number for number, lane in sorted(lanes.items()) if lane.waiting is not None]
    if waiting:
        raise OSError(f"partitions {waiting} wait for a person to accept a step: see `tidemark clock show`")
    driven = [number for number, lane in sorted(lanes.items()) if lane.driven]
    if driven:
        return f"a backfill has the clock of partitions {driven}; live events are put off until it hands over"
    return "no lane waits for a person"


def _attribution(running: Running) -> str:
    from schemas.topics import SCORER_USAGE_UNATTRIBUTED_STATE
    from services.cli.lane_counters import read_counters
    from services.scorer.domain.attribution.ledger import AttributionCounters

    found = told(read_counters(running.kafka, SCORER_USAGE_UNATTRIBUTED_STATE, AttributionCounters))
    lanes = [counters for _, counters in found.values()]
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

    if told(records_to_read(running.kafka)) > _MANY_RECORDS:
        return "not looked at, there are too many accounts: `tidemark signals held` lists those that are held"
    settings = load(AlerterSettings)
    rules = load_rules(settings.rules_dir, settings.rules_overrides)
    found = told(read_held(running.kafka, rules), _ALL_HEALTH_WITHIN_S)
    if not found:
        return "no account is held by its own calendar or programs"
    waiting = sum(bool(each.would_fire) for each in found)
    return (
        f"usage signals of {counted(len(found), 'account')} are held by planned absences, public holidays or programs,"
        f" conditions hold for {waiting:,} of these: `tidemark signals held` lists them"
    )
