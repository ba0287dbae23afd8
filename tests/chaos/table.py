"""The rows of a campaign as a table: on the terminal, and in Markdown for docs/chaos.md."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from tests.chaos.fault import Row

COLUMNS = ("fault", "what clients saw", "lost", "doubled", "replay", "recovered", "verdict")


def cells(row: Row) -> tuple[str, ...]:
    """Return a row's texts, in the order of COLUMNS."""
    if row.impossible is not None:
        return (row.title, "", "", "", "", "", f"not possible here: {row.impossible}")
    recovered = f"{row.recovered_s:.1f} s" if row.recovered_s is not None else f"not in {row.bound_s:.0f} s"
    replay = f"{len(row.replay_differs)} keys differ" if row.replay_differs else "identical"
    return (
        row.title,
        seen(row),
        _places(row.lost),
        _places(row.doubled),
        replay if row.replayed else "not compared",
        recovered,
        "ok" if row.good else ": ".join(["FAILED", *row.problems[:1]]),
    )


def seen(row: Row) -> str:
    """Return what clients saw, in words."""
    if not row.statuses:
        return "no clients"
    answers = ", ".join(f"{count:,} × {status}" for status, count in sorted(row.statuses.items()))
    return f"{answers}; {row.without_ok_s:.1f} s without a 200"


def line(row: Row) -> str:
    """Return a row on one line, for progress."""
    _, saw, lost, doubled, replay, recovered, verdict = cells(row)
    if row.impossible is not None:
        return verdict
    return (
        f"{saw}; lost {lost}; doubled {doubled}; replay {replay}; recovered {recovered}; {row.events:,} events compared"
    )


def for_terminal(rows: Iterable[Row]) -> Table:
    """Return the table for a terminal."""
    table = Table(show_lines=True)
    for column in COLUMNS:
        table.add_column(column)
    for row in rows:
        table.add_row(*cells(row), style=None if row.good else "red")
    return table


def in_markdown(rows: Iterable[Row]) -> str:
    """Return the table for a page."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines)


def _places(counts: dict[str, int]) -> str:
    if not counts:
        return "0"
    return ", ".join(f"{count:,} in the {place}" for place, count in sorted(counts.items()))
