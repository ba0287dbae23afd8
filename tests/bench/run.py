"""
`make bench`: measures everything in one run on this machine, one thing at a time, on one broker, and prints it.

    python -m tests.bench.run [--json FILE] [--record PAGE] [--only PART ...] [--against DIR] [--stored N] [--quick]
    python -m tests.bench.run --peers [--record PAGE] [--quick]

Each part is a script of its own that prints JSON; short ones are repeated and the median counts, with the least and
the greatest beside it. Ratios are counted within this run. The broker, what is measured and what drives it share the
machine, so the load average stands beside the figures. Nothing passes or fails here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from services.shared.kafka.embedded.broker import EmbeddedBroker
from tests.bench import figures, machine
from tests.bench.cluster import BROKER_PID
from tests.bench.figures import Figure
from tests.bench.ingest import peers

_HOURS_S = 4 * 3600


@dataclass(frozen=True, slots=True)
class Part:
    """One script, how often it runs, and how its output becomes figures."""

    script: str
    rounds: int
    read: Callable[[list[dict[str, Any]]], list[Figure]]
    options: tuple[str, ...] = ()
    quick: tuple[str, ...] = field(default=())
    """Options for a first look, where the figures need not be good."""
    within_s: int = 600


PARTS: Mapping[str, Part] = {
    "ingest": Part("ingest.load", 1, figures.ingest, ("--json", "--half", "--rounds", "3", "--seconds", "4"), ("--rounds", "1")),
    "cost": Part("ingest.cost", 1, figures.cost, ("--json",), ("--rounds", "2", "--events", "20000")),
    "counting": Part("engine.counting", 1, figures.counting, ("--rounds", "3"), ("--rounds", "1")),
    "scorer": Part("scorer.throughput", 3, figures.scorer, (), ("--events", "150000")),
    "recovery": Part(
        "scorer.recovery", 1, figures.recovery, ("--rounds", "2"),
        ("--rounds", "1", "--accounts", "20000", "--ids", "4000000", "--tail-mb", "64"),
    ),
    "midnight": Part(
        "scorer.midnight", 1, figures.midnight, (), ("--accounts", "20000", "--seconds", "15"),
    ),
    "memory": Part("scorer.memory", 1, figures.memory, (), ("--accounts", "5000")),
    "latency": Part("scorer.latency", 1, figures.latency, (), ("--seconds", "5")),
    "reach": Part(
        "warehouse.reach", 1, figures.reach, (), ("--days", "60", "--events", "200000", "--rounds", "2"), within_s=900,
    ),
    "sink": Part("warehouse.sink", 1, figures.sink, (), ("--events", "100000", "--seconds", "5")),
}  # fmt: skip


def measure(part: Part, environment: Mapping[str, str], *, quick: bool) -> list[dict[str, Any]]:
    """Run a part's script as often as it says and return what it printed."""
    command = [sys.executable, "-m", f"tests.bench.{part.script}", *part.options, *(part.quick if quick else ())]
    printed = []
    for _ in range(1 if quick else part.rounds):
        ended = subprocess.run(
            command, env=dict(environment), capture_output=True, text=True, timeout=part.within_s, check=False
        )
        if ended.returncode:
            raise RuntimeError(f"{part.script} ended with status {ended.returncode}:\n{ended.stderr[-3000:]}")
        printed += [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    return printed


def run(parts: Mapping[str, Part], say: Console, *, quick: bool) -> tuple[list[Figure], dict[str, Any]]:
    """Measure the parts one after the other; a part that fails is told and left out."""
    found: list[Figure] = []
    raw: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder:
        broker = EmbeddedBroker(Path(folder) / "kafka")
        with say.status("starting a broker"):
            broker.start()
        environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap, BROKER_PID: str(broker.pid)}
        try:
            for name, part in parts.items():
                began = time.monotonic()
                with say.status(f"measuring {name}"):
                    try:
                        raw[name] = measure(part, environment, quick=quick)
                        found += part.read(raw[name])
                    except (RuntimeError, subprocess.TimeoutExpired) as error:
                        raw[name] = {"error": str(error)}
                        say.print(f"[red]{name} could not be measured:[/red] {error}", highlight=False)
                        continue
                load = os.getloadavg()[0]
                say.print(f"measured {name} in {time.monotonic() - began:.0f} s, load average {load:.1f}")
        finally:
            broker.stop()
    return found, raw


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--record", type=Path, help="put the table into this page, between its two marks")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument(
        "--stored",
        type=int,
        metavar="N",
        help="events in the store of the part `reach`; 100 million take some ten minutes of CPU to fill",
    )
    parser.add_argument("--against", type=Path, metavar="DIR", help="another checkout, for the part `cost`")
    parser.add_argument("--peers", action="store_true", help="only ingest, beside the peers whose binaries are given")
    parser.add_argument("--quick", action="store_true", help="a first look: fewer and shorter rounds")
    chosen = parser.parse_args()
    if chosen.peers:
        page = ["--record", str(chosen.record)] if chosen.record else []
        peers.main([*page, *(("--rounds", "1", "--events", "10000") if chosen.quick else ())])
        return 0
    say = Console()
    if not say.is_terminal:
        say.width = 140
    about = machine.facts()
    say.print(
        f"{about['cpu']}, {about['cores']} processors, load average {about['load_before'][0]} before the first figure"
    )
    wanted = {name: part for name, part in PARTS.items() if name in (chosen.only or PARTS)}
    if chosen.against and "cost" in wanted:
        options = (*wanted["cost"].options, "--against", str(chosen.against))
        wanted["cost"] = replace(wanted["cost"], options=options)
    if chosen.stored and "reach" in wanted:
        options = (*wanted["reach"].options, "--events", str(chosen.stored))
        wanted["reach"] = replace(wanted["reach"], options=options, quick=(), within_s=_HOURS_S)
    began = time.monotonic()
    found, raw = run(wanted, say, quick=chosen.quick)
    about["seconds"] = round(time.monotonic() - began)
    about["load_after"] = [round(load, 2) for load in os.getloadavg()]
    say.print(figures.table(found, about))
    if chosen.json:
        chosen.json.write_text(
            json.dumps({"machine": about, "figures": [f.as_json() for f in found], "printed": raw}, indent=1) + "\n"
        )
        say.print(f"written to {chosen.json}")
    if chosen.record:
        figures.record(chosen.record, "measured", figures.markdown(found, about))
        say.print(f"recorded in {chosen.record}")
    return 0 if all("error" not in printed for printed in raw.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
