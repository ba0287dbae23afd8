"""From what the scripts print to figures with their targets, and to the table of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from rich.table import Table

_COLUMNS = ("what", "median", "least to greatest", "target", "CPU us")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: the median of its rounds, with the least and the greatest."""

    what: str
    unit: str
    values: tuple[float, ...]
    target: float | None = None
    better: Literal["more", "less"] = "more"
    cpu_us: float | None = None
    """CPU time of the measured process an event, in microseconds: it suffers less from a busy machine than rates do."""
    note: str = ""

    @property
    def value(self) -> float:
        """The figure."""
        return median(self.values)

    @property
    def reached(self) -> bool | None:
        """Whether it is what is aimed at; None where nothing is."""
        if self.target is None:
            return None
        return self.value >= self.target if self.better == "more" else self.value <= self.target

    def as_json(self) -> dict[str, Any]:
        """Return it for the file."""
        return {**asdict(self), "value": self.value, "reached": self.reached}


def ingest(printed: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Read ingest/load.py: as fast as answers come, and then whether they come or not."""
    found = []
    for what, unit, target in (("batches of 100", "events/s", 30_000), ("single events", "requests/s", 3_000)):
        rounds = [p for p in printed if p["what"] == what and not p["offered_per_s"]]
        others = sorted({status for p in rounds for status in p["statuses"]} - {"200"})
        note = f"p99 of the answer {median(p['p99_ms'] for p in rounds):.0f} ms"
        found.append(
            Figure(
                f"ingest, {what}", unit, tuple(p["events_per_s"] for p in rounds), target,
                cpu_us=median(p["cpu_us_per_event"] for p in rounds),
                note=note + (f", also answered {', '.join(others)}" if others else ""),
            )
        )  # fmt: skip
        halves = [p for p in printed if p["what"] == what and p["offered_per_s"]]
        if halves:
            offered = median(p["offered_per_s"] for p in halves)
            note = (
                f"p50 {median(p['p50_ms'] for p in halves):.1f} ms, at {offered:,.0f} requests/s whenever answers come"
            )
            found.append(
                Figure(
                    "the answer at half of that, p99",
                    "ms",
                    tuple(p["p99_ms"] for p in halves),
                    better="less",
                    note=note,
                )
            )
    return found


def cost(printed: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Read ingest/cost.py."""
    found = []
    for told, target in zip(printed, (2.0, 1.4), strict=False):
        what = f"processor time an event, {told['what']}"
        found.append(Figure(what, "us", tuple(told["cpu_us"]), better="less", note="of the ingest process"))
        if told["times_less"]:
            note = f"the other takes {median(told['other_cpu_us']):.1f} us; round by round"
            found.append(
                Figure(f"{what}, the other checkout to this", "times", tuple(told["times_less"]), target, note=note)
            )
    return found


def counting(printed: Sequence[Mapping[str, Mapping[str, float]]]) -> list[Figure]:
    """Read engine/counting.py."""
    rates: dict[str, tuple[float, ...]] = {}
    found = []
    for name, what in (
        ("engine", "counting, through the engine"),
        ("quix", "counting, Quix Streams"),
        ("faust", "counting, plain Faust and its table"),
    ):
        rates[name] = tuple(p[name]["records"] / p[name]["seconds"] for p in printed)
        cpu = median(p[name]["cpu"] / p[name]["records"] for p in printed) * 1e6
        found.append(Figure(what, "records/s", rates[name], cpu_us=cpu))
    for other, what, target in (("faust", "plain Faust", 20), ("quix", "Quix Streams", 1)):
        ratios = tuple(ours / theirs for ours, theirs in zip(rates["engine"], rates[other], strict=True))
        found.append(Figure(f"the engine beside {what}", "times", ratios, target, note="round by round"))
    return found


def scorer(printed: Sequence[Mapping[str, float]]) -> list[Figure]:
    """Read scorer/throughput.py."""
    broker = median(p["broker_cpu"] / p["records"] for p in printed) * 1e6
    return [
        Figure(
            "scorer, everything on, 5,000 accounts evenly", "events/s", tuple(p["records"] / p["seconds"] for p in printed),
            40_000, cpu_us=median(p["cpu"] / p["records"] for p in printed) * 1e6,
            note=f"the broker takes {broker:.1f} us of CPU an event besides",
        )
    ]  # fmt: skip


def recovery(printed: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Read scorer/recovery.py."""
    (told,) = printed
    rounds, base, accounts = told["rounds"], told["base"], told["accounts"]
    return [
        Figure(
            f"recovery, {accounts:,} accounts, {told['ids'] / 1e6:.0f} million ids", "s",
            tuple(r["seconds"] for r in rounds), 10, "less",
            note=f"{told['bytes'] / 1e6:,.0f} MB in {told['records']:,} records; {base['seconds']} s with nothing to load",
        ),
        Figure(
            "the same process afterwards, an account", "bytes", tuple((r["rss"] - base["rss"]) / accounts for r in rounds),
            note=f"resident, ids among it; the base is {base['rss'] / 2**20:.0f} MiB",
        ),
    ]  # fmt: skip


def midnight(printed: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Read scorer/midnight.py."""
    (told,) = printed
    ordinary, closing, evaluating = (told[span] for span in ("ordinary", "closing", "evaluating"))
    note = f"{told['accounts']:,} accounts, {told['rate']:,} events/s; {ordinary['snapshots']:,} snapshots, p50 {ordinary['p50_s']} s"
    return [
        Figure("accepted to health, an ordinary minute, p99", "s", (ordinary["p99_s"],), note=note),
        Figure(
            "the same while midnight is swept", "times", (closing["p99_s"] / ordinary["p99_s"],), 2, "less",
            note=f"p99 {closing['p99_s']} s, {closing['snapshots']:,} snapshots",
        ),
        Figure(
            "the same while the day is evaluated", "times", (evaluating["p99_s"] / ordinary["p99_s"],), 2, "less",
            note=f"p99 {evaluating['p99_s']} s, {evaluating['snapshots']:,} snapshots",
        ),
        Figure("the longest stall of the process meanwhile", "s", (told["stall_s"],), 0.5, "less"),
    ]  # fmt: skip


def memory(printed: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Read scorer/memory.py."""
    (told,) = printed
    return [
        Figure(
            f"memory of an account, {told['users']} users, five metrics", "bytes", (told["traced"],), 8 * 1024, "less",
            note=f"{told['resident']:,} resident, {told['on_the_log']:,} on the changelog",
        )
    ]  # fmt: skip


def latency(printed: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Read scorer/latency.py."""
    (told,) = printed
    note = f"p50 {told['p50_s']} s, {told['snapshots']:,} snapshots at {told['events_per_s']:,} events/s"
    return [Figure("accepted to health on Kafka, p99", "s", (told["p99_s"],), 2.5, "less", note=note)]


def reach(printed: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Read warehouse/reach.py; of what goes over HTTP the middle of CPU times stands beside the times."""
    (told,) = printed
    answers = {each["what"]: each for each in told["answers"]}
    stored = f"{told['events'] / 1e6:,.0f} million events stored"

    def answer(what: str, name: str, target: float | None = None, note: str = "") -> Figure:
        each = answers[what]
        cpu = f"{each['cpu_ms']:.0f} ms of CPU, {each['bytes'] / 1000:,.0f} kB"
        times = (each["least_ms"], each["ms"], each["most_ms"])
        return Figure(name, "ms", times, target, "less", note=", ".join(filter(None, (cpu, note))))

    return [
        answer("today", "answer `today`, 10,000 accounts"),
        answer("today, 100 days ago", "the same, as of 100 days ago"),
        answer("portfolio", "answer `portfolio`, 10,000 accounts, 30 weeks"),
        answer("portfolio, 100 days ago", "the same, as of 100 days ago"),
        answer("account", "answer of an account", 300, stored),
        answer("account with most events", "answer of the account with most events", 300, stored),
        Figure(
            "portfolio, first contentful paint", "ms", tuple(told["paint_ms"]), 1_000, "less",
            note=f"Chromium, nothing cached; {median(told['paint_cpu_ms']):.0f} ms of the server's CPU",
        ),
        Figure(
            "portfolio, filtered or sorted", "ms", tuple(told["list_ms"]), 100, "less",
            note=f"over HTTP; {median(told['list_cpu_ms']):.0f} ms of the server's CPU",
        ),
        Figure("its first page, with gzip", "kB", (told["page_bytes"] / 1000,), 60, "less"),
        Figure("its styles and scripts, with gzip", "kB", (told["assets_bytes"] / 1000,), 50, "less"),
    ]  # fmt: skip


def sink(printed: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Read warehouse/sink.py."""
    (told,) = printed
    stored, delay = told["stored"], told["delay"]
    return [
        Figure(
            "stored in the embedded engine, while it is asked", "events/s", (stored["records"] / stored["seconds"],), 100_000,
            cpu_us=stored["cpu"] / stored["records"] * 1e6, note=f"{told['asked']} questions meanwhile",
        ),
        Figure(
            "accepted to what can be asked for, p95", "s", (delay["p95_s"],), 5, "less",
            note=f"p50 {delay['p50_s']} s, {delay['probes']} events at {delay['events_per_s']:,} events/s",
        ),
        Figure(
            "memory of the warehouse's process meanwhile", "MB", (told["memory_mb"],), 1_280, "less",
            note="the most that was its own; the engine may take 1,024 MB of it",
        ),
    ]  # fmt: skip


def table(found: Sequence[Figure], about: Mapping[str, Any]) -> Table:
    """Return the figures as a table for the terminal."""
    shown = Table(title="Tidemark, measured", caption=ran_on(about))
    shown.add_column("what", ratio=1)
    for column in _COLUMNS[1:]:
        shown.add_column(column, justify="right", no_wrap=True)
    for figure in found:
        colour = {None: "default", True: "green", False: "red"}[figure.reached]
        what, value, *others = _row(figure)
        note = f"\n[dim]  {figure.note}[/]" if figure.note else ""
        shown.add_row(what + note, f"[{colour}]{value}[/]", *others)
    return shown


def markdown(found: Sequence[Figure], about: Mapping[str, Any]) -> str:
    """Return the figures as a table for the documents."""
    lines = [f"{ran_on(about)}.", "", f"| {' | '.join(_COLUMNS)} | beside |", "|---|" + "---:|" * 4 + "---|"]
    lines += [f"| {' | '.join(_row(figure))} | {figure.note} |" for figure in found]
    return "\n".join(lines)


def record(page: Path, name: str, text: str) -> None:
    """Put a text between the two marks of a page that have a name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = page.read_text("utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise SystemExit(f"{page} has no {begin} and {end} to write between")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")


def ran_on(about: Mapping[str, Any]) -> str:
    """Return the machine, the versions and its load in one sentence."""
    return (
        f"{about['cpu']}, {about['cores']} cores for everything, {about['memory_gb']} GB, {about['system']}; "
        f"Python {about['python']}, Kafka {about['kafka']}, faust-streaming {about['faust-streaming']}, "
        f"aiokafka {about['aiokafka']}; load average {about['load_before'][0]} before, {about['load_after'][0]} after; "
        f"{about['seconds']} s"
    )


def _row(figure: Figure) -> tuple[str, ...]:
    target = "" if figure.target is None else f"{'>=' if figure.better == 'more' else '<='} {_number(figure.target)}"
    return (
        figure.what,
        f"{_number(figure.value)} {figure.unit}",
        f"{_number(min(figure.values))} to {_number(max(figure.values))}" if len(figure.values) > 1 else "",
        target + (", missed" if figure.reached is False else ""),
        "" if figure.cpu_us is None else f"{figure.cpu_us:.1f}",
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}".rstrip("0").rstrip(".")
