"""
Measures ingest beside its peers: the same load on the same broker, round by round in turn.

    TIDEMARK_BENCH_JITSU=/path/to/ingest python -m tests.bench.ingest.peers [--rounds 3] [--json] [--record PAGE]

Three things are compared. The processor time of an event, one by one and in batches of 100: ratios of neighbouring rounds
mean something on a busy machine, rates do not. What is kept of a batch of 100 with one bad event, which has no identity, no
valid time, or a number that is none. And what is lost of the events that were answered with 2xx when the process is killed
under load: what is not on Kafka afterwards.

A peer is a binary that you have built, named by its variable. Its settings are its defaults.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import uvloop

from schemas import codec
from services.shared.kafka.settings import KafkaSettings
from tests.bench import figures, machine
from tests.bench.cluster import broker, cpu_of, deployment
from tests.bench.ingest import jitsu
from tests.bench.ingest.cost import CONNECTIONS
from tests.bench.ingest.load import drive, event, requests, worker
from tests.bench.ingest.subjects import Kept, Subject

Start = Callable[[Path, KafkaSettings, Path], AbstractContextManager[Subject]]
PEERS: dict[str, Start] = {jitsu.VARIABLE: jitsu.jitsu}
"""By the variable that names the binary."""
OURS = "Tidemark"
BAD: dict[str, dict[str, Any]] = {
    "no identity": {"userId": None, "context": {}},
    "no valid time": {"timestamp": "the day before yesterday"},
    "no number": {"properties": {"rows": "NOT A NUMBER"}},
}
_SENDERS = 16


@contextmanager
def ours(kafka: KafkaSettings, folder: Path) -> Iterator[Subject]:
    """Run one worker of this checkout."""
    topics = tuple(kafka.scoped(topic) for topic in ("usage-events", "usage-unattributed"))
    with worker(kafka, folder) as (pid, url):
        yield Subject(OURS, pid, url, kafka, topics, _ids)


def _ids(value: bytes) -> list[str]:
    kind, record = codec.decode(value)
    return [record["event_id"]] if kind == "usage_event" else []


def given(environment: dict[str, str]) -> dict[str, Path]:
    """
    Return the binaries of the peers that there are, by their variables.

    Raises:
        SystemExit: there is none, or one is no program.
    """
    found = {name: Path(environment[name]) for name in PEERS if environment.get(name)}
    if not found:
        raise SystemExit(f"no peer to measure beside: set {' or '.join(PEERS)} to a binary that you have built")
    for name, path in found.items():
        if not os.access(path, os.X_OK) or path.is_dir():
            raise SystemExit(f"{name}: {path} is no program that can be run")
    return {name: path.resolve() for name, path in found.items()}


async def cost(subject: Subject, size: int, events: int) -> dict[str, Any]:
    """Send so many events in requests of a size and return what they cost."""
    host = urllib.parse.urlsplit(subject.url).netloc
    made = requests(size if size > 1 else 0, "bench", host, single=subject.single)
    before = cpu_of(subject.pid)
    run = await drive(subject.url, made, connections=CONNECTIONS[size], rate=0.0, requests=max(1, events // size))
    taken = run.statuses.get("200", 0) * size
    used = (cpu_of(subject.pid) - before) / max(1, taken) * 1e6
    return {"of": "cost", "name": subject.name, "size": size, "events": taken, "cpu_us": round(used, 1), "statuses": run.statuses}  # fmt: skip


async def one_bad(subject: Subject, fault: str) -> dict[str, Any]:
    """Send a batch of 100 with one bad event in the middle, and return what was answered and what is kept."""
    rng = random.Random(fault)
    batch = [event(rng, number) for number in range(100)]
    bad = batch[50]
    bad |= BAD[fault]
    body = json.dumps({"batch": batch}).replace('"NOT A NUMBER"', "NaN")
    with Kept(subject) as kept:
        async with httpx.AsyncClient(base_url=subject.url, auth=("bench", "")) as client:
            answer = await client.post("/v1/batch", content=body, headers={"Content-Type": "application/json"})
        ids = set(kept.ids())
    good = {each["messageId"] for each in batch if each is not bad}
    return {
        "of": "one bad", "name": subject.name, "fault": fault, "status": answer.status_code,
        "good_kept": len(good & ids), "bad_kept": bad["messageId"] in ids,
        "bad_named": bad["messageId"] in answer.text or '"index":50' in answer.text,
    }  # fmt: skip


async def killed(subject: Subject, enough: int = 500, within_s: float = 15.0) -> dict[str, Any]:
    """Send single events, kill the process amid them, and return how many of those answered with 2xx are lost."""
    rng = random.Random()
    answered: set[str] = set()

    async def send(client: httpx.AsyncClient) -> None:
        with suppress(httpx.TransportError):
            while True:
                made = event(rng, rng.randrange(1 << 30))
                if (await client.post(subject.single, json=made)).is_success:
                    answered.add(made["messageId"])

    with Kept(subject) as kept:
        async with httpx.AsyncClient(base_url=subject.url, auth=("bench", ""), timeout=5) as client:
            senders = [asyncio.create_task(send(client)) for _ in range(_SENDERS)]
            deadline = time.monotonic() + within_s
            while len(answered) < enough and time.monotonic() < deadline:
                await asyncio.sleep(0.001)
            os.kill(subject.pid, signal.SIGKILL)
            await asyncio.gather(*senders)
        ids = set(kept.ids())
    return {"of": "killed", "name": subject.name, "answered": len(answered), "lost": len(answered - ids)}


def measure(binaries: dict[str, Path], rounds: int, events: int) -> Iterator[dict[str, Any]]:
    """Yield one finding after another; the last of each subject is its end."""
    with ExitStack() as stack:
        stack.enter_context(broker())
        kafka = stack.enter_context(deployment())

        def folder() -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-bench-")))

        subjects = [stack.enter_context(ours(kafka, folder()))]
        subjects += [stack.enter_context(PEERS[name](path, kafka, folder())) for name, path in binaries.items()]
        for size in (1, 100):
            some = events if size > 1 else events // 10
            for number in range(rounds + 1):
                for subject in subjects:
                    found = uvloop.run(cost(subject, size, some))
                    if number:  # the first round warms up
                        yield found
        for fault in BAD:
            for subject in subjects:
                yield uvloop.run(one_bad(subject, fault))
        for subject in subjects:
            yield uvloop.run(killed(subject))


def table(found: list[dict[str, Any]]) -> str:
    """Return the findings as a table for the documents."""
    names = list(dict.fromkeys(each["name"] for each in found))
    columns = ("", "CPU us an event, one by one", "beside ours", "in batches of 100", "beside ours")
    last = "SIGKILL under load: answered 2xx, and lost"
    heads = [*columns, *(f"one bad of 100, {fault}" for fault in BAD), last]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * 4}{'---|' * len(BAD)}---:|"]
    for name in names:
        cells = [name]
        for size in (1, 100):
            mine, base = (_costs(found, each, size) for each in (name, OURS))
            ratios = [cost / reference for cost, reference in zip(mine, base, strict=True)]
            cells.append(f"{median(mine):.0f} ({min(mine):.0f} to {max(mine):.0f})")
            cells.append("" if name == OURS else f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        kept = [each for each in found if each["of"] == "one bad" and each["name"] == name]
        cells += map(_kept, kept)
        (end,) = (each for each in found if each["of"] == "killed" and each["name"] == name)
        cells.append(f"{end['lost']:,} of {end['answered']:,}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _costs(found: list[dict[str, Any]], name: str, size: int) -> list[float]:
    return [each["cpu_us"] for each in found if each["of"] == "cost" and each["name"] == name and each["size"] == size]


def _kept(told: dict[str, Any]) -> str:
    good, status = told["good_kept"], told["status"]
    fate = "the bad one too" if told["bad_kept"] else "the bad one named" if told["bad_named"] else "the bad one gone"
    return f"{status}, {good} kept, {fate}" if good else f"{status}, none kept"


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=40_000, help="in batches, a round; a tenth of it one by one")
    parser.add_argument("--json", action="store_true", help="print each finding as it is made")
    parser.add_argument("--record", type=Path, help="put the table into this page, between its two marks")
    chosen = parser.parse_args(arguments)
    binaries = given(dict(os.environ))
    about = machine.facts()
    found = []
    for each in measure(binaries, chosen.rounds, chosen.events):
        found.append(each)
        told = json.dumps(each) if chosen.json else "  ".join(f"{name}={value}" for name, value in each.items())
        print(told, flush=True)
    load = round(os.getloadavg()[0], 2)
    text = (
        f"{about['cpu']}, {about['cores']} cores for everything, Python {about['python']}, Kafka {about['kafka']};"
        f" load average {about['load_before'][0]} before, {load} after; {chosen.rounds} rounds.\n\n{table(found)}"
    )
    print(text)
    if chosen.record:
        figures.record(chosen.record, "peers", text)
        print(f"recorded in {chosen.record}")


if __name__ == "__main__":
    main()
