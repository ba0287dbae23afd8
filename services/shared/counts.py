"""A number with what it counts, in messages for people who read English; pages in several languages have catalogues."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """Return such as `1 event` or `1,200 events`; `many` is what stands for more than one, `one` with an s if left out."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
