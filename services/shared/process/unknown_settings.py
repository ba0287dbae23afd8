"""
Variables that look like settings and are none: the one judgement of `tidemark doctor`, `--check-config` and services at start.

They are no errors, since another program's may be among them, and a step back to an older release meets those of a newer one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

NAMES_FILE = Path(__file__).with_name("setting_names.txt")
"""Every setting of every process and of the tool, one a line; written together with docs/settings.md."""
VARIABLE = re.compile(r"(?:TIDEMARK|KAFKA|CLICKHOUSE)_[A-Z0-9_]+")

_ALIKE, _ALIKE_OF_OTHERS = 0.85, 0.9
"""KAFKA_ and CLICKHOUSE_ are the names of others too, such as CLICKHOUSE_USER of ClickHouse's own image."""
_OTHERS = frozenset(
    {
        "TIDEMARK_STOP_WITH_PARENT",
        "TIDEMARK_SOAK",
        "TIDEMARK_REQUIRE_CLIENTS",
        "TIDEMARK_GOLDEN",
        "TIDEMARK_CHROMIUM",
    }
)
"""Read by what `tidemark dev` starts, and by the tests; no settings for anybody to look up."""
_OF_TOOLS = ("TIDEMARK_BENCH_", "TIDEMARK_CHAOS_", "TIDEMARK_COUNTING_")
_OF_KUBERNETES = re.compile(r"(.+?)_(?:SERVICE_HOST|SERVICE_PORT|PORT)(?:_.*)?")


def unknown_settings(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that no process takes notice of, each with what was likely meant, or nothing."""
    known = _known()
    for name in sorted(set(filter(VARIABLE.fullmatch, environment)) - known):
        service = _OF_KUBERNETES.fullmatch(name)
        if service and f"{service[1]}_SERVICE_HOST" in environment:
            continue  # it tells every container the addresses of each Service, such as one that is called tidemark-ingest
        ours = name.startswith("TIDEMARK_")
        meant = next(iter(difflib.get_close_matches(name, known, 1, _ALIKE if ours else _ALIKE_OF_OTHERS)), "")
        if meant or (ours and not name.startswith(_OF_TOOLS)):
            yield name, meant


def no_effect(name: str, meant: str) -> str:
    """Say of such a variable that it changes nothing."""
    return f"{name} is no setting, so it changes nothing{f': write {meant}' if meant else ''}"


@cache
def _known() -> frozenset[str]:
    return frozenset(NAMES_FILE.read_text("utf-8").split()) | _OTHERS
