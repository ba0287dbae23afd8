"""
One backfill from beginning to end: find out where it stands, bring in the rest, say how it went.

Into an empty log it drives the clock (see `plan`); into a log that has events they come as late ones. Which of
the two is decided once, when the file is begun, and kept with its progress.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from schemas.topics import BACKFILL_PROGRESS, USAGE_EVENTS
from services.backfill import drive
from services.backfill import progress as progress_topic
from services.backfill.claim import YIELD_S, Claim
from services.backfill.log import UsageLog, midnight
from services.backfill.mapping import TimedCall
from services.backfill.plan import AwaitFleet, Send, Tick, steps
from services.backfill.ports import ReadLanes
from services.backfill.progress import Progress, named
from services.backfill.sender import IngestSender, Tally, account_of
from services.shared.attribution_wait import AttributionWait, ReadPositions
from services.shared.errors import TidemarkError
from services.shared.kafka.reading import decoded, scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topics import refuse_misfits
from services.shared.units import HOUR_MS, day_of

SAVE_EVERY_S = 1.0
LATE_SLICE = 5_000


class Source(Protocol):
    """Events of the past, always the same ones in the same order."""

    @property
    def name(self) -> str:
        """Return what people call it."""

    @property
    def sha256(self) -> str:
        """Return what no other source shares."""

    @property
    def stem(self) -> str:
        """Return what the ids begin with that it makes up: no event of another source, and no other event of it, has such an id."""

    @property
    def first_ms(self) -> int:
        """Return the time of the first event."""

    def events(self) -> Iterator[tuple[int, dict[str, object]]]:
        """Yield (time, call) in time order."""


class Mode(StrEnum):
    """How the events enter the log."""

    DRIVEN = "driven"
    LATE = "late"


class Unfinished(TidemarkError):
    """Another backfill holds the clock."""


class BackfillState(NamedTuple):
    """What a progress display is told."""

    mode: Mode
    rows: int
    """Rows of the source that are done, those of former runs included."""
    log_time: int
    """Milliseconds since 1970 UTC; in late mode the time of the latest event sent."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went."""

    mode: Mode
    rows: int
    resumed_at: int
    """Rows that former runs had done; equal to `rows` where nothing was left."""
    found_in_log: int
    """Rows after the last saved progress that a former run had sent nevertheless."""
    tally: Tally
    too_late: int = 0
    """Rows of this run that were too old for the scorer when they were sent; ingest accepts them all the same."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to drive."""

    read_lanes: ReadLanes
    read_attribution: ReadPositions
    tick_hours: int = 6
    fleet_within_s: float = 300.0
    report: Callable[[BackfillState], None] = lambda _: None
    attributed_within_s: float = 300.0
    """How long attribution may take to read what a day has brought."""
    taken_within_s: float = 60.0
    """How long the lanes may take to say whether they take the clock."""
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    account: Callable[[str], str] = lambda named: named
    """The account that an account id stands for, as ingest takes it."""
    begun: Callable[[Mode], None] = lambda _: None
    """Told how the events enter the log, before the clock is taken and anything is sent."""
    oldest_day: Callable[[int], int] = lambda _: 0
    """The first day that a late event may belong to, by today; both are days since 1970 UTC."""


async def backfill(source: Source, sender: IngestSender, kafka: KafkaSettings, options: Options) -> Outcome:
    """
    Bring the source's events in, from where a former run stopped.

    Raises:
        ConfigurationError: the topics are not those that the data was written under.
        TakenOver: another run has taken the file over.
        TidemarkError: it could not be finished; running it again goes on.
    """
    await refuse_misfits(kafka, (USAGE_EVENTS, BACKFILL_PROGRESS))
    known = await progress_topic.read_all(kafka)
    mine = known.get(source.sha256)
    if mine is not None and mine.finished:
        return Outcome(Mode.DRIVEN if mine.epoch else Mode.LATE, mine.rows_done, mine.rows_done, 0, sender.tally)
    _refuse_another_drive(source, known)
    async with UsageLog(kafka) as log, Claim(kafka, source.sha256) as claim:
        await sender.ready()  # before the clock is taken: a key that may not send history must not stop it
        mine = await _take_up(source, mine, log, kafka, options, claim.run)
        since = await _sent_since(kafka, mine, _Since(source.stem, options.account))
        return await _Run(source, sender, kafka, log, options, mine, since).to_the_end()


def _refuse_another_drive(source: Source, known: Mapping[str, Progress]) -> None:
    for other in known.values():
        if other.epoch and not other.finished and other.file_sha256 != source.sha256:
            raise Unfinished(
                f"the backfill of {other.file_name} has begun and not finished: finish it first, or give it up with "
                "`tidemark backfill --abandon`"
            )


async def _take_up(
    source: Source, mine: Progress | None, log: UsageLog, kafka: KafkaSettings, options: Options, run: str
) -> Progress:
    """Claim the file for this run, and return where it stands."""
    if mine is None:
        begun = await _beginning(source, log, kafka, options)
        mine = (await progress_topic.read_all(kafka)).get(source.sha256)  # another run may have begun it meanwhile
        if mine is None:
            return await _begin(source, begun, log, kafka, run)
    await progress_topic.write(kafka, log.producer, mine, run)
    await asyncio.sleep(YIELD_S)  # what a former run that lives on has sent is looked for afterwards
    return mine


async def _beginning(source: Source, log: UsageLog, kafka: KafkaSettings, options: Options) -> Progress:
    live = not await drive.nothing_counted(kafka, options.read_lanes)
    return Progress(
        file_sha256=source.sha256,
        file_name=source.name,
        epoch=0 if live else options.now_ms(),
        log_time=0 if live else midnight(source.first_ms),
        log_ends=named(await log.ends()),
    )


async def _begin(source: Source, begun: Progress, log: UsageLog, kafka: KafkaSettings, run: str) -> Progress:
    await progress_topic.write(kafka, log.producer, begun, run)
    if begun.epoch:  # one that began at the same moment sees this one, or is seen here
        try:
            _refuse_another_drive(source, await progress_topic.read_all(kafka))
        except Unfinished:
            await progress_topic.forget(kafka, log.producer, begun)
            raise
    return begun


@dataclass(slots=True)
class _Run:
    source: Source
    sender: IngestSender
    kafka: KafkaSettings
    log: UsageLog
    options: Options
    progress: Progress
    since: _Since
    found: int = 0
    too_late: int = 0
    saved_at: float = -math.inf

    async def to_the_end(self) -> Outcome:
        """Do what is left."""
        resumed_at = self.progress.rows_done
        if self.since.handed_over and self.progress.rows_done < sum(1 for _ in self.source.events()):
            # Given up while this was away, maybe by a command that was cut short: what was put off comes first.
            await drive.give_back(self.kafka, self.options.read_lanes, self.log, self.progress, self.options.now_ms())
            self.progress = replace(self.progress, epoch=0, driven={})
        mode = Mode.DRIVEN if self.progress.epoch else Mode.LATE
        self.options.begun(mode)
        if mode is Mode.DRIVEN:
            await self._drive()
        else:
            await self._late()
        await self._save(finished=True, through=True)
        return Outcome(mode, self.progress.rows_done, resumed_at, self.found, self.sender.tally, self.too_late)

    async def _drive(self) -> None:
        options = self.options
        if not self.since.handed_over:
            if not self.progress.driven:
                self.progress = await drive.take(
                    self.kafka, options.read_lanes, self.log, self.progress, options.now_ms(), options.taken_within_s
                )
            await self.log.follow(self.progress.ends)
            rest = self._rest()
            attribution = AttributionWait(
                self.kafka, self.log.unattributed_ends, options.read_attribution, options.attributed_within_s
            )
            while True:
                until = options.now_ms()
                await self._walk(rest, until, attribution)
                rest = iter(())
                if midnight(options.now_ms()) == midnight(until):  # else a midnight passed meanwhile
                    break
            await attribution.settle()
            await self._save(finished=False, through=True)  # handed over with a row to go means: given up by somebody
        await drive.give_back(self.kafka, options.read_lanes, self.log, self.progress, options.now_ms())

    async def _walk(self, rest: Iterator[TimedCall], until: int, attribution: AttributionWait) -> None:
        epoch = self.progress.epoch
        for step in steps(rest, self.progress.log_time, until, self.options.tick_hours * HOUR_MS):
            match step:
                case Send(calls):
                    await self._send(calls, epoch)
                case Tick(at_ms):
                    if at_ms == midnight(at_ms):
                        await attribution.day_over(self.sender.tally.unattributed)
                    await self.log.tick(at_ms, epoch)
                    self.progress = replace(self.progress, log_time=at_ms)
                    self._report(Mode.DRIVEN)
                case AwaitFleet(day):
                    await self.log.await_fleet(epoch, day, self.options.fleet_within_s)
                    await self._save_sometimes()

    async def _late(self) -> None:
        part: list[TimedCall] = []
        for call in self._rest():
            part.append(call)
            if len(part) >= LATE_SLICE:
                await self._late_part(part)
                part = []
        if part:
            await self._late_part(part)

    async def _late_part(self, part: list[TimedCall]) -> None:
        await self._send(part, 0)
        oldest = self.options.oldest_day(day_of(self.options.now_ms()))
        self.too_late += sum(day_of(call.at_ms) < oldest for call in part)
        self.progress = replace(self.progress, log_time=part[-1].at_ms)
        self._report(Mode.LATE)
        await self._save_sometimes()

    def _rest(self) -> Iterator[TimedCall]:
        done = self.progress.rows_done
        for number, (at_ms, call) in enumerate(self.source.events()):
            if number >= done:
                yield TimedCall(at_ms, call)

    async def _send(self, calls: list[TimedCall], epoch: int) -> None:
        new = [call for call in calls if not self.since.has(call)]
        self.found += len(calls) - len(new)
        if new:
            await self.sender.send(new, epoch)
        self.progress = replace(self.progress, rows_done=self.progress.rows_done + len(calls))

    def _report(self, mode: Mode) -> None:
        self.options.report(BackfillState(mode, self.progress.rows_done, self.progress.log_time))

    async def _save_sometimes(self) -> None:
        if time.monotonic() - self.saved_at >= SAVE_EVERY_S:
            await self._save(finished=False)

    async def _save(self, *, finished: bool, through: bool = False) -> None:
        """
        Write how far this is; `through`: the whole source has been walked.

        The next run looks for rows and fleet records behind `log_ends`. What a former run has put there, further on than this
        one is, must stay behind it, or those rows are sent twice, and those records waited for in vain.
        """
        if through or self.since.passed(self.progress.log_time):
            self.progress = replace(self.progress, log_ends=named(await self.log.ends()))
        self.progress = replace(self.progress, finished=finished)
        await progress_topic.write(self.kafka, self.log.producer, self.progress)
        self.saved_at = time.monotonic()


@dataclass(slots=True)
class _Since:
    """What the log has from after the last saved progress."""

    stem: str
    account: Callable[[str], str]
    accounts: dict[str, set[str]] = field(default_factory=dict)
    """Accounts by event id."""
    last_event_ms: int = -1
    """When the latest of these events happened, milliseconds since 1970 UTC; -1: there is none."""
    last_tick_ms: int = -1
    """The latest tick of this drive; -1: there is none."""
    handed_over: bool = False

    def passed(self, log_time: int) -> bool:
        """Return whether a run that has come to `log_time` has left behind all that former runs have sent."""
        return log_time > self.last_event_ms and log_time >= self.last_tick_ms

    def has(self, call: TimedCall) -> bool:
        """
        Return whether an event is on the log.

        An id that the source made up says it alone. A given one may be that of events of several accounts, and the log has
        the account that the named one stands for.
        """
        message_id = call.call["messageId"]
        accounts = self.accounts.get(message_id)
        if accounts is None or message_id.startswith(self.stem):
            return accounts is not None
        named = account_of(call.call)
        return not named or self.account(named) in accounts


async def _sent_since(kafka: KafkaSettings, progress: Progress, since: _Since) -> _Since:
    async for record in scan(kafka, USAGE_EVENTS, progress.ends):
        if record.value is None:
            continue
        name, value = decoded(record.value)  # without a name the scorer dead-letters it; it is none of ours
        if name == "usage_event" and value["historical"]:  # in the epoch of a drive that was given up, maybe
            since.accounts.setdefault(value["event_id"], set()).add(value["account"])
            since.last_event_ms = max(since.last_event_ms, value["occurred_at"])
        elif name == "tick" and progress.epoch and value["epoch"] == progress.epoch:
            since.last_tick_ms = max(since.last_tick_ms, value["at"])
        elif name == "clock" and value["mode"] == "LIVE" and progress.driven:
            since.handed_over = True
    return since
