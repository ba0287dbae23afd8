"""
Measures what an event costs ingest: processor time of the worker, in batches and one by one.

    python -m tests.bench.ingest.cost                      this checkout alone
    python -m tests.bench.ingest.cost --against DIR        and another checkout of the project, in turn with this one
    python -m tests.bench.ingest.cost --rounds 5 --events 60000 --json

Processor time varies less than a rate does on a busy machine, but still with whatever else runs; so the two checkouts run
in turn, each round first the one and then the other, and the ratio is that of neighbouring rounds. Both run on the Python
and the packages of this one, each with a worker and topics of its own on the same broker. The worker has seen every
user once before anything is measured. A round has a number of events, not of seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import uvloop

from tests.bench.cluster import broker, cpu_of, deployment
from tests.bench.ingest.load import drive, requests, worker

CONNECTIONS = {100: 16, 1: 64}
"""Events in a request -> connections."""


class Side(NamedTuple):
    """One of the checkouts that are compared, with its worker."""

    name: str
    pid: int
    url: str


@contextmanager
def side(name: str, checkout: Path) -> Iterator[Side]:
    """Run a worker of a checkout on a deployment of its own, which is made by that checkout."""
    with ExitStack() as stack:
        kafka = stack.enter_context(deployment(checkout))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-bench-"))
        pid, url = stack.enter_context(worker(kafka, Path(folder), checkout))
        yield Side(name, pid, url)


async def measure(side: Side, made: list[bytes], *, size: int, events: int, rate: float = 0.0) -> dict[str, Any]:
    """Send so many events in requests of a size and return what they cost."""
    before = cpu_of(side.pid)
    run = await drive(side.url, made, connections=CONNECTIONS[size], rate=rate, requests=max(1, events // size))
    cpu = cpu_of(side.pid) - before
    taken = run.statuses.get("200", 0) * size
    return {
        "side": side.name,
        "size": size,
        "events": taken,
        "cpu_us": round(cpu / max(1, taken) * 1e6, 2),
        "requests_per_s": round(taken / size / run.elapsed),
        "p50_ms": round(run.times[len(run.times) // 2] * 1000, 1),
        "p99_ms": round(run.times[int(len(run.times) * 0.99)] * 1000, 1),
        "statuses": run.statuses,
    }


def compare(rounds: list[dict[str, Any]], size: int) -> dict[str, Any]:
    """Return the medians of both sides, and how many times less this one costs than the other, round by round."""
    ours, theirs = (
        [r["cpu_us"] for r in rounds if r["size"] == size and r["side"] == name] for name in ("this", "other")
    )
    return {
        "what": f"batches of {size}" if size > 1 else "single events",
        "cpu_us": ours,
        "other_cpu_us": theirs,
        "times_less": [round(other / our, 2) for our, other in zip(ours, theirs, strict=True)] if theirs else [],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="the folder of another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=40_000, help="in batches, a round; a tenth of it one by one")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1], choices=CONNECTIONS)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if chosen.against and not (chosen.against / "services" / "ingest").is_dir():
        parser.error(f"{chosen.against} is no checkout of the project")
    sides = {"this": Path.cwd()} | ({"other": chosen.against.resolve()} if chosen.against else {})
    found: list[dict[str, Any]] = []
    with ExitStack() as stack:
        stack.enter_context(broker())
        running = [stack.enter_context(side(name, checkout)) for name, checkout in sides.items()]
        for size in chosen.sizes:
            host = urllib.parse.urlsplit(running[0].url).netloc
            made = requests(size if size > 1 else 0, "bench", host)
            events = chosen.events if size > 1 else chosen.events // 10
            for each in running:
                uvloop.run(measure(each, made, size=size, events=len(made) * size))
            for _ in range(chosen.rounds):
                for each in running:
                    found.append(uvloop.run(measure(each, made, size=size, events=events)))
                    if not chosen.json:
                        print("  ".join(f"{k}={v}" for k, v in found[-1].items()), flush=True)
    for size in chosen.sizes:
        summary = compare(found, size)
        if chosen.json:
            print(json.dumps(summary), flush=True)
            continue
        less = summary["times_less"]
        print(
            f"{summary['what']}: {median(summary['cpu_us']):.1f} us of processor time an event"
            + (
                f", the other {median(summary['other_cpu_us']):.1f}: {median(less):.2f} times less ({min(less):.2f} to {max(less):.2f})"
                if less
                else ""
            )
        )


if __name__ == "__main__":
    main()
