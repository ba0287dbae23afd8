"""
A rolling upgrade of a running deployment, and what may be said of its formats afterwards.

Stands on the deployment alone: the campaign plays it on three brokers, the short form on one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from schemas import codec, formats, released
from services.scorer.domain.counters import LEDGER_KEY
from services.shared.kafka.reading import ends, scan
from services.shared.kafka.settings import KafkaSettings
from tests.chaos.deployment import Deployment
from tests.chaos.stage import passes
from tests.support.waiting import until

INGEST_FIRST = ("ingest", "warehouse", "alerter", "scorer")
SCORER_FIRST = ("scorer", "alerter", "warehouse", "ingest")
LEVEL = "TIDEMARK_WRITE_FORMATS"
MIXED_S = 2.0
"""How long two builds of one service run side by side."""
_WITHIN_S = 90.0
_STATE_TOPIC = "scorer-usage-events-state"


async def put(deployment: Deployment, name: str, build: Path | None, level: int | None = None) -> None:
    """Replace one process by one of another build (None: this one) that writes a level (None: its default)."""
    program = deployment.programs[name]
    program.folder = build
    await deployment.restart(name, {LEVEL: str(level)} if level else {}, without=(LEVEL,))
    await deployment.ready(name, _WITHIN_S)


async def roll(deployment: Deployment, order: Sequence[str], build: Path | None, level: int | None = None) -> None:
    """
    Replace every process, one after the other, service by service.

    Between two scorers of different builds partitions move: first the new one has all, then both have some.
    """
    for service in order:
        programs = deployment.named(service)
        for number, program in enumerate(programs):
            await put(deployment, program.name, build, level)
            if service == "scorer" and number + 1 < len(programs):
                await move(deployment, program.name, programs[number + 1].name)


async def move(deployment: Deployment, upgraded: str, other: str) -> None:
    """Let the upgraded scorer take all lanes over from the other, which then comes back and takes some of them."""
    await passes(MIXED_S)
    await deployment.stop(other)
    await _until(deployment, upgraded, deployment.kafka.partitions)
    deployment.start(other)
    await deployment.ready(other, _WITHIN_S)
    await passes(MIXED_S)


async def lanes_of(deployment: Deployment, name: str) -> int:
    """Return how many lanes of usage-events run in a scorer; none while it does not answer."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=3) as client:
            page = (await client.get(deployment.programs[name].url + "/metrics")).text
    except httpx.HTTPError:
        return 0
    return sum(
        int(sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "tidemark_engine_lanes" and sample.labels == {"topic": "usage-events", "state": "running"}
    )


async def refused(deployment: Deployment, name: str, build: Path) -> list[str]:
    """Put an older build back where the newest level is written; return in what it is not refused as promised."""
    program = deployment.programs[name]
    problems = []
    program.folder = build
    await deployment.restart(name, {LEVEL: str(formats.NEWEST)})
    with suppress(TimeoutError):  # what is wrong then is said below
        await until(lambda: program.given_up is not None, _WITHIN_S)
    if program.given_up != 2 or f"there is no level {formats.NEWEST}" not in program.end_of_log():
        problems.append(f"{name} of the older build was not refused at its start: {program.end_of_log(3)}")
    before = program.ended
    await deployment.restart(name, {}, without=(LEVEL,))
    said = ""

    async def speaks_of_versions() -> bool:
        nonlocal said
        said = await deployment.not_ready(name) or ""
        return "this version" in said

    with suppress(TimeoutError):
        await until(speaks_of_versions, _WITHIN_S)
    if "this version" not in said and "this one does not know" not in said:
        problems.append(f"{name} of the older build does not say that a version is not known: {said!r}")
    await passes(MIXED_S)
    if program.ended != before or not program.alive:
        problems.append(f"{name} of the older build ended instead of standing still")
    return problems


async def stopped_lanes(deployment: Deployment) -> list[str]:
    """Return the lanes that have ever stopped, by the logs of their workers."""
    return [
        f"a lane stopped in {name}: {line[:300]}"
        for name, program in deployment.programs.items()
        if program.log.exists()
        for line in program.log.read_text(errors="replace").splitlines()
        if "lane_stopped" in line or "partition_stopped" in line
    ]


async def events_by_version(kafka: KafkaSettings) -> Counter[int]:
    """Return how many records of usage events there are in each version."""
    version_of = {codec.FILE_IDS[file.path]: file.version for file in released.FILES if file.record == "usage_event"}
    found: Counter[int] = Counter()
    async for record in scan(kafka, "usage-events"):
        if record.value and (version := version_of.get(codec.schema_id(record.value))):
            found[version] += 1
    return found


async def state_by_format(kafka: KafkaSettings) -> Counter[int]:
    """Return how many live state records of the scorer there are in each format."""
    live: dict[tuple[int, bytes], int] = {}
    settled = await ends(kafka, _STATE_TOPIC, committed=True)
    async for record in scan(kafka, _STATE_TOPIC, stop=settled):
        if record.key.startswith(b"\0") or record.key == LEDGER_KEY:
            continue
        if record.value is None:
            live.pop((record.partition, record.key), None)
        else:
            live[record.partition, record.key] = record.value[0]
    return Counter(live.values())


async def _until(deployment: Deployment, name: str, lanes: int) -> None:
    async def taken_over() -> bool:
        return await lanes_of(deployment, name) >= lanes

    await until(taken_over, _WITHIN_S, lambda: f"{name} has not taken {lanes} lanes over within {_WITHIN_S:.0f} s")
