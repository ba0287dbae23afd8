"""
Taking the clock of all lanes, and giving it back.

The record that opens an epoch is the arbiter: a lane takes it only if it has never counted an event, whatever this
program believes. So it asks the lanes, by the state that they commit, and sends nothing before all have taken it.

Live events that come in during a drive are put off by their lanes, and so are links of people: they are in the log, and nowhere
else. Once the clock is given back they are appended again, each with the offset at which it stood, so a run that was cut short
sees in the log itself how far it had come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from aiokafka import ConsumerRecord

from schemas.topics import USAGE_EVENTS
from services.backfill import progress as progress_topic
from services.backfill.claim import new_run
from services.backfill.log import AGAIN, UsageLog
from services.backfill.ports import DrivenLane, ReadLanes
from services.backfill.progress import Progress, named, numbered
from services.shared.errors import TidemarkError
from services.shared.kafka.reading import Offsets, decoded, record_of, scan
from services.shared.kafka.settings import KafkaSettings

ASK_EVERY_S = 0.25
AT_ONCE = 5_000
"""Events appended again before their acknowledgements are awaited."""
_EVENT, _LINK, _CLOCK = "usage_event", "user_link", "clock"


class NotTaken(TidemarkError):
    """Events came in while the clock was being taken; everything is as it was."""


class NoAnswer(TidemarkError):
    """Lanes did not say whether they took the clock; the message says what to do."""


async def nothing_counted(kafka: KafkaSettings, read_lanes: ReadLanes) -> bool:
    """Return whether no lane has counted an event and none is on its way; it reads only what no lane has read."""
    lanes = await read_lanes(kafka)
    if any(lane.counted for lane in lanes.values()):
        return False
    start = {partition: lane.position for partition, lane in lanes.items()}
    async for record in scan(kafka, USAGE_EVENTS, start):
        if record_of(record.value) == _EVENT:
            return False
    return True


async def take(
    kafka: KafkaSettings, read_lanes: ReadLanes, log: UsageLog, progress: Progress, now_ms: int, within_s: float
) -> Progress:
    """
    Open the epoch on all partitions and return once all lanes have taken it, with where it stands.

    Raises:
        NotTaken: at least one lane has counted events. All are handed back to live, and the file has not begun.
        NoAnswer: the scorer did not answer in time.
    """
    before = await _opened(kafka, progress)
    opened = await log.drive(progress.log_time, progress.epoch)
    progress, refused = await _who_took_it(
        kafka, read_lanes, replace(progress, driven=named({**opened, **before})), opened, within_s
    )
    if refused:
        await progress_topic.write(kafka, log.producer, progress)
        await give_back(kafka, read_lanes, log, progress, now_ms)
        await progress_topic.forget(kafka, log.producer, progress)
        raise NotTaken(
            f"the clock was not taken: partitions {refused} have counted events meanwhile. Nothing of the file was sent, "
            "and all lanes are live. Run the same command again: the events then come as late ones."
        )
    await progress_topic.write(kafka, log.producer, progress)
    return progress


async def give_back(kafka: KafkaSettings, read_lanes: ReadLanes, log: UsageLog, progress: Progress, now_ms: int) -> int:
    """
    Hand all lanes over to the live clock, append again what was put off, and return how many records that were.

    Repeating it is safe: lanes that are live ignore the order, and what was appended again is not appended twice.
    """
    await log.hand_over(now_ms)
    live, resent = await _after_hand_over(kafka, progress)
    driven = numbered(progress.driven)
    if not driven or await _nothing_deferred(kafka, read_lanes, live):
        return 0
    start = {partition: max(offset + 1, resent.get(partition, 0)) for partition, offset in driven.items()}
    stop = {partition: live[partition] if partition in driven else 0 for partition in live}
    count = 0
    part: list[ConsumerRecord[bytes, bytes]] = []
    async for record in _deferred(kafka, progress.epoch, start, stop):
        part.append(record)
        count += 1
        if len(part) >= AT_ONCE:
            await log.append_again(part)
            part = []
    await log.append_again(part)
    return count


async def abandon(
    kafka: KafkaSettings, read_lanes: ReadLanes, now_ms: int, within_s: float = 60.0
) -> list[tuple[str, int]]:
    """
    Give up every drive there is; return the names of their files, each with the number of events that had been put off.

    What a file has sent so far stays in the log. Run again, it goes on from there with late events.

    Raises:
        NoAnswer: the scorer did not say which lanes had taken the clock.
    """
    given_up = []
    known = [each for each in (await progress_topic.read_all(kafka)).values() if each.epoch and not each.finished]
    epochs = {each.epoch for each in known}
    driven = {lane.epoch for lane in (await read_lanes(kafka)).values() if lane.driven}
    unknown = [Progress("", f"a file that nobody knows of, epoch {epoch}", epoch=epoch) for epoch in driven - epochs]
    async with UsageLog(kafka) as log:
        for each in (*known, *unknown):
            progress = each
            if progress.file_sha256:
                await progress_topic.write(kafka, log.producer, progress, new_run())  # a run that lives ends by it
            if not progress.driven:
                opened = await _opened(kafka, progress)
                progress, _ = await _who_took_it(
                    kafka, read_lanes, replace(progress, driven=named(opened)), opened, within_s
                )
                if progress.file_sha256:
                    await progress_topic.write(kafka, log.producer, progress)
            count = await give_back(kafka, read_lanes, log, progress, now_ms)
            if progress.file_sha256:
                await progress_topic.write(kafka, log.producer, replace(progress, epoch=0, driven={}))
            given_up.append((progress.file_name, count))
    return given_up


async def _who_took_it(
    kafka: KafkaSettings, read_lanes: ReadLanes, progress: Progress, opened: Offsets, within_s: float
) -> tuple[Progress, list[int]]:
    """Return the progress with those partitions alone whose lanes have taken the epoch, and the others."""
    lanes = await _past(kafka, read_lanes, opened, within_s)
    taken = {number for number, lane in lanes.items() if lane.driven and lane.epoch == progress.epoch}
    driven = {number: offset for number, offset in numbered(progress.driven).items() if number in taken}
    return replace(progress, driven=named(driven)), sorted(opened.keys() - taken)


async def _past(
    kafka: KafkaSettings, read_lanes: ReadLanes, offsets: Mapping[int, int], within_s: float
) -> Mapping[int, DrivenLane]:
    """Return the lanes once each has folded its offset."""
    deadline = time.monotonic() + within_s
    while True:
        lanes = await read_lanes(kafka)
        behind = sorted(number for number, offset in offsets.items() if lanes[number].position <= offset)
        if not behind:
            return lanes
        if time.monotonic() >= deadline:
            raise NoAnswer(
                f"partitions {behind} did not say in {within_s:.0f} s whether they take the clock: is the scorer running "
                "and ready (`tidemark doctor`)? Then run the same command again. To give up: `tidemark backfill --abandon`."
            )
        await asyncio.sleep(ASK_EVERY_S)


async def _opened(kafka: KafkaSettings, progress: Progress) -> Offsets:
    """Return where the epoch is opened first on each partition, among what was written since the last note."""
    opened: Offsets = {}
    async for record in scan(kafka, USAGE_EVENTS, progress.ends):
        if record_of(record.value) == _CLOCK:
            _, value = decoded(record.value)
            if value["mode"] == "DRIVEN" and value["epoch"] == progress.epoch:
                opened.setdefault(record.partition, record.offset)
    return opened


async def _after_hand_over(kafka: KafkaSettings, progress: Progress) -> tuple[Offsets, Offsets]:
    """Return where each partition is handed over first, and up to where its put-off events have been appended again."""
    live: Offsets = {}
    resent: Offsets = {}
    driven = numbered(progress.driven)
    async for record in scan(kafka, USAGE_EVENTS, progress.ends):
        if not record.value or record.offset <= driven.get(record.partition, -1):
            continue
        if record_of(record.value) == _CLOCK and decoded(record.value)[1]["mode"] == "LIVE":
            live.setdefault(record.partition, record.offset)
        for name, value in record.headers:
            if name == AGAIN and record.partition in live:
                resent[record.partition] = max(resent.get(record.partition, 0), int(value) + 1)
    return live, resent


async def _nothing_deferred(kafka: KafkaSettings, read_lanes: ReadLanes, live: Mapping[int, int]) -> bool:
    """Return whether all lanes say that they never put anything off; a lane that is still behind says nothing."""
    lanes = await read_lanes(kafka)
    return all(lanes[number].position >= offset and not lanes[number].deferred for number, offset in live.items())


async def _deferred(
    kafka: KafkaSettings, epoch: int, start: Mapping[int, int], stop: Mapping[int, int]
) -> AsyncIterator[ConsumerRecord[bytes, bytes]]:
    async for record in scan(kafka, USAGE_EVENTS, start, stop):
        if record_of(record.value) in (_EVENT, _LINK):
            _, value = decoded(record.value)
            if value and value["epoch"] != epoch:
                yield record
