"""
How a processor comes to its state: the live records of its changelogs, in key order, in steps that let others take a turn.

Sorting millions of keys in one go would hold up the loop for seconds, as would finishing a large state.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from services.shared.engine.errors import ChangelogsApart, NotThisVersion, UnreadableState
from services.shared.engine.fold.committed import Committed
from services.shared.engine.fold.failure_policy import PROCESS_ERRORS
from services.shared.engine.position import POSITION_KEY, Position
from services.shared.engine.processor import Append, Processor
from services.shared.engine.spec import LaneSpec
from services.shared.errors import UnknownVersion

BREATH = 500
"""Records given to the processor before the other tasks of the loop get a turn."""
SORTED_AT_ONCE = 20_000
"""Keys: about 10 ms."""


class Restored(NamedTuple):
    """
    A processor, restored from its changelogs.

    `held` is the position and the topic id that the changelogs hold, if any; `appends` may not have been written yet.
    """

    processor: Processor
    held: tuple[Position, bytes] | None
    appends: list[Append]


def restore(
    spec: LaneSpec, partition: int, stores: Mapping[str, dict[bytes, bytes]], committed: Committed | None = None
) -> Generator[None, None, Restored]:
    """
    Make a processor and restore it from the live records of its changelogs; yield after each step.

    Records are taken out of `stores` as they are read: both together would take twice the memory, and the holes that
    the bytes leave behind between the processor's objects would never be given back. `committed` is what the lane's
    group has.

    Raises:
        ChangelogsApart: they do not end with the same transaction.
        NotThisVersion: the changelogs were written by a newer version.
        UnreadableState: they hold what is no state.
    """
    processor = spec.processor(partition)
    positions: dict[str, tuple[Position, bytes]] = {}
    store, key = "", None
    appends: list[Append] = []
    try:
        for store, live in stores.items():
            keys = in_order(live)
            for n, key in enumerate(keys):
                if key is None:
                    yield
                    continue
                value = live.pop(key)
                if not key.startswith(b"\0"):
                    processor.restore(store, key, value)
                elif key == POSITION_KEY:
                    positions[store] = Position.decode(value)
                if n % BREATH == BREATH - 1:
                    yield
        key = None
        held = _agreed(spec, partition, positions, committed)
        for append in processor.opened():
            if append is None:
                yield
            else:
                appends.append(append)
    except UnknownVersion as unknown:
        raise NotThisVersion(
            spec.topic, partition, None, unknown, clean=False, where=_named(spec, store, key)
        ) from unknown
    except (*PROCESS_ERRORS, ChangelogsApart):
        raise
    except Exception as error:
        raise UnreadableState(spec.topic, partition, _named(spec, store, key), error) from error
    return Restored(processor, held, appends)


def _agreed(
    spec: LaneSpec, partition: int, positions: Mapping[str, tuple[Position, bytes]], committed: Committed | None
) -> tuple[Position, bytes] | None:
    """
    Return the position that all changelogs hold.

    A store that the release before had not may hold none. One into which the group's last transaction wrote it has lost all.
    """
    held = positions.get(spec.position_store)
    lost: set[str] = set()
    if held is not None and committed is not None and committed.position <= held[0]:
        lost = committed.stores & spec.stores.keys() - positions.keys()
    if lost or any(found != held for found in positions.values()):
        ends = {spec.stores[store]: at.offset for store, (at, _) in positions.items()}
        raise ChangelogsApart(spec.topic, partition, ends | {spec.stores[store]: None for store in lost})
    return held


def _named(spec: LaneSpec, store: str, key: bytes | None) -> str:
    return "" if key is None else f"key {key!r} of {spec.stores[store]}"


def in_order(live: Mapping[bytes, bytes]) -> Iterator[bytes | None]:
    """Yield the keys in order; before the first, yield None each time that `SORTED_AT_ONCE` of them have been sorted."""
    keys = iter(list(live))
    runs: list[list[bytes]] = []
    while run := list(islice(keys, SORTED_AT_ONCE)):
        run.sort()
        runs.append(run)
        if len(run) == SORTED_AT_ONCE:
            yield None
    yield from runs[0] if len(runs) == 1 else heapq.merge(*runs)
