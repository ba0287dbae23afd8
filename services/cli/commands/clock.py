"""`tidemark clock show|accept|refuse`: log time, and an operator's answer when it waits for one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from schemas.topics import USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.cli.local.stack_state import DataOption, JsonOption, cluster
from services.cli.terminal import tell_json, tell_lines
from services.scorer.domain.lane.clock import LONGEST_STEP_MS
from services.shared.errors import WrongArgument
from services.shared.units import HOUR_MS, day_of, written_time

if TYPE_CHECKING:
    from services.scorer.lane_facts import LaneFacts
    from services.shared.kafka.settings import KafkaSettings

AWAY_MS = 60_000
"""So far behind the wall clock a lane is one that was not running."""

MARGIN_MS = HOUR_MS
"""Until the scorer is up the step grows."""

PartitionOption = Annotated[
    list[int] | None, typer.Option("--partition", help="Partition of usage-events; may be repeated. By default all.")
]


def register(app: typer.Typer) -> None:
    """Add the group `clock`."""
    group = typer.Typer(help="Log time, and lanes that wait for an answer.", no_args_is_help=True)
    group.command("show")(show)
    group.command("accept")(accept)
    group.command("refuse")(refuse)
    app.add_typer(group, name="clock")


def show(data: DataOption = None, json: JsonOption = False) -> None:
    """Show the log time of each lane beside the wall clock, and which lanes wait for an answer."""
    from services.scorer.lane_facts import read_lanes

    lanes = asyncio.run(read_lanes(cluster(data)))
    now_ms = time.time_ns() // 1_000_000
    if json:
        tell_json({number: lane._asdict() for number, lane in sorted(lanes.items())})
        return
    print(f"wall clock    {written_time(now_ms)}")
    for number, lane in sorted(lanes.items()):
        tell_lines([f"partition {number:<3} {_told(lane, now_ms)}"])
    if any(lane.waiting is not None for lane in lanes.values()):
        print("Is the step right? `tidemark clock accept`. If not, set the clocks, then `tidemark clock refuse`.")


def accept(partition: PartitionOption = None, data: DataOption = None) -> None:
    """Confirm a step of more than seven days: waiting lanes close each day up to now and go on."""
    written = asyncio.run(order(cluster(data), "ACCEPT", partition))
    print(f"accepted on partitions {written}: lanes that wait step ahead to now, closing each day in between;")
    print("for all others it changes nothing. `tidemark clock show` says how far they are.")


def refuse(partition: PartitionOption = None, data: DataOption = None) -> None:
    """Refuse a step of more than seven days: waiting lanes forget it and stay at their time."""
    written = asyncio.run(order(cluster(data), "REFUSE", partition))
    print(f"refused on partitions {written}: lanes that wait stay at their time until a clock says something else.")
    print("If the clock that asked is still wrong it will ask again: set it first.")


async def order(
    kafka: KafkaSettings, mode: Literal["ACCEPT", "REFUSE"], partitions: Collection[int] | None = None
) -> list[int]:
    """
    Append a clock record to some partitions of usage-events and usage-unattributed, or all, and return which.

    Raises:
        Fatal: there is no such partition.
    """
    from schemas import codec
    from services.shared.kafka.clients import producer
    from services.shared.kafka.reading import ends

    there = await ends(kafka, USAGE_EVENTS)
    unknown = sorted(set(partitions or ()) - there.keys())
    if unknown:
        raise WrongArgument(f"usage-events has no partitions {unknown}, only {min(there)} to {max(there)}")
    value = codec.encoder("clock")({"mode": mode, "epoch": 0, "at": time.time_ns() // 1_000_000})
    chosen = sorted(set(partitions)) if partitions else sorted(there)
    async with producer(kafka) as out:
        sent = [
            await out.send(kafka.scoped(topic), value, partition=number)
            for topic in (USAGE_EVENTS, USAGE_UNATTRIBUTED)
            for number in chosen
        ]
        await asyncio.gather(*sent)
    return chosen


async def accept_absence(kafka: KafkaSettings) -> str:
    """
    Return a sentence on the time since the last run of a stack that one person starts and stops; empty if there is none.

    A step that is too long for the lanes is accepted: whoever starts the stack knows that it was away. A shorter one the
    ticker walks by itself, day by day.
    """
    from services.scorer.lane_facts import read_lanes

    now_ms = time.time_ns() // 1_000_000
    lanes = await read_lanes(kafka)
    behind = {
        number: now_ms - lane.log_time
        for number, lane in lanes.items()
        if lane.log_time and not lane.driven and now_ms - lane.log_time > AWAY_MS
    }
    if not behind:
        return ""
    said = f"time since the last run: {_span(max(behind.values()))}"
    long = [number for number, away_ms in behind.items() if away_ms > LONGEST_STEP_MS - MARGIN_MS]
    if not long:
        ended = any(day_of(lanes[number].log_time) < day_of(now_ms) for number in behind)
        return f"{said}; its days are closed one by one" if ended else said
    await order(kafka, "ACCEPT", long)
    return f"{said}; accepted (`tidemark clock accept`), its days are closed now"


def _told(lane: LaneFacts, now_ms: int) -> str:
    if not lane.log_time:
        return "not started"
    where = f"{written_time(lane.log_time)}  {_span(now_ms - lane.log_time)} behind"
    if lane.waiting is not None:
        return f"{where}; WAITS: was asked to step to {written_time(lane.waiting)}"
    if lane.driven:
        return f"{where}; a backfill has the clock"
    return (
        f"{where}; further than it steps by itself: `tidemark clock accept`"
        if now_ms - lane.log_time > LONGEST_STEP_MS
        else where
    )


def _span(milliseconds: int) -> str:
    minutes, seconds = divmod(max(0, milliseconds) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
