"""
A processor that counts, to test and measure the engine with: every count and every output can be checked from the source.

Record values: anything is counted by key. Special ones: `poison` is refused by decode, `poison-fold` by fold, `raise`
breaks the fold half-way, `long:N` counts its key N times in N steps, `long:N:K` raises in step K, `fat:N` makes a
state of N bytes, `wide:N` makes an output of N bytes, `append` asks for an append, `far:N` for one of N bytes, `version:N` is refused by processors
that know less, `break` counts its key and breaks it: whatever counts it later meets a KeyFault, until it is set apart;
`sweep` counts every key, one a step; `ask` waits for the next
`answer` further down the log. Each tenth count of a key is written out as `key:count`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from services.shared.engine.errors import Unanswered
from services.shared.engine.processor import Append, Output, SourceRecord, StateChange
from services.shared.engine.spec import LaneSpec, SourceMode
from services.shared.errors import IncompatibleState, KeyFault, Poison, UnknownVersion

FORMAT = 1
_STATE = struct.Struct(">BQ?")
_COUNT = struct.Struct(">xQ")
STORE = "counts"


class CountingProcessor:
    """Count records by key; write out every `every`-th count."""

    def __init__(self, partition: int, out: str, appends: str = "", every: int = 10) -> None:
        """Take the partition, the topic of the outputs and the topic of the appends."""
        self.partition = partition
        self.out = out
        self.appends_to = appends
        self.every = every
        self.version = 1
        """Of the records that it knows."""
        self.counts: dict[bytes, int] = {}
        self.answered_at = -1
        """Offset of the latest answer that was heard."""
        self.broken: dict[bytes, bool] = {}
        """Keys that cannot be counted, and whether they are set apart."""
        self._fat: dict[bytes, int] = {}
        self._touched: dict[bytes, None] = {}
        self._outputs: list[Output] = []
        self._appends: list[Append] = []
        self.urgent = False

    def restore(self, store: str, key: bytes, value: bytes) -> None:
        """Take back one count."""
        if value[0] > FORMAT:
            raise IncompatibleState(f"count state of format {value[0]}, this version reads up to {FORMAT}")
        _, self.counts[key], broken = _STATE.unpack(value[: _STATE.size])
        if broken:
            self.broken[key] = value[_STATE.size :] == b"apart"

    def opened(self) -> Iterable[Append | None]:
        """Ask for nothing."""
        return ()

    def decode(self, record: SourceRecord) -> tuple[bytes, bytes]:
        """Refuse `poison` and records without a key."""
        if record.key is None or record.value == b"poison":
            raise Poison("not_countable", "value")
        value = record.value or b""
        if value[:1] == b"v" and int(value.removeprefix(b"version:")) > self.version:
            raise UnknownVersion(f"a record of {value.decode()}")
        return record.key, value

    def quarantine(self, key: str, detail: str) -> None:
        """Leave a broken key as it is from now on."""
        self.broken[key.encode()] = True
        self._touched[key.encode()] = None

    def is_answer(self, record: SourceRecord) -> bool:
        """Return whether it is an `answer`."""
        return record.value == b"answer"

    def answered(self, record: SourceRecord) -> None:
        """Hear an answer: what asked before it goes on."""
        self.answered_at = record.offset

    def fold(self, offset: int, item: tuple[bytes, bytes], step: int) -> Iterator[None] | None:
        """Count; see the module for the special values."""
        key, value = item
        self.urgent = False
        if not value or value[0] < 97:  # the quick way for numbers and such
            self._count(key)
            return None
        word, _, argument = value.partition(b":")
        if word == b"poison-fold":
            raise Poison("not_foldable", "value")
        if word == b"ask" and offset > self.answered_at:
            raise Unanswered("answer", f"record {offset} asks")
        if word == b"long":
            return self._long(key, argument, step)
        if word == b"sweep":
            return self._sweep(step)
        self._count(key)
        if word == b"break":
            self.broken[key] = False
        if word == b"raise":
            raise ZeroDivisionError("as asked")
        if word == b"fat":
            self._fat[key] = int(argument)
        if word == b"wide":
            self._outputs.append(Output(self.out, key, b"w" * int(argument)))
        if word == b"append":
            self._appends.append(Append(self.appends_to, None, key, b"after:%d" % self.counts[key]))
        if word == b"far":
            self._appends.append(Append(self.appends_to, None, key, b"f" * int(argument)))
        self.urgent = word == b"urgent"
        return None

    def _long(self, key: bytes, argument: bytes, step: int) -> Iterator[None]:
        total, _, bad = argument.partition(b":")
        for n in range(step, int(total)):
            self._count(key)
            if bad and n == int(bad):
                raise ZeroDivisionError("as asked, in a step")
            yield

    def _sweep(self, step: int) -> Iterator[None]:
        for key in sorted(self.counts)[step:]:
            self._count(key)
            yield

    def _count(self, key: bytes) -> None:
        n = self.counts.get(key, 0) + 1
        if self.broken and key in self.broken:
            if self.broken[key]:
                return
            self.counts[key] = n  # half of the work is done
            raise KeyFault(key.decode(), "it is broken")
        self.counts[key] = n
        self._touched[key] = None
        if n % self.every == 0:
            self._outputs.append(Output(self.out, key, b"%s:%d" % (key, n)))

    def take_outputs(self) -> list[Output]:
        """Return and forget the outputs."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def take_changes(self) -> Iterable[StateChange]:
        """Return and forget the counts that changed."""
        touched, self._touched = self._touched, {}
        return [
            StateChange(STORE, k, _STATE.pack(FORMAT, self.counts[k], k in self.broken) + self._rest(k))
            for k in touched
        ]

    def _rest(self, key: bytes) -> bytes:
        return b"apart" if self.broken.get(key) else b"f" * self._fat.get(key, 0)

    def take_appends(self) -> list[Append]:
        """Return and forget the appends."""
        appends, self._appends = self._appends, []
        return appends


def counting_spec(
    source: str, changelog: str, out: str, dead: str, mode: SourceMode = SourceMode.CONTIGUOUS, appends: str = ""
) -> LaneSpec:
    """Declare lanes that count `source`."""

    def dead_letter(record: SourceRecord, poison: Poison) -> Output:
        note = f"{poison.reason}|{poison.detail}|{record.partition}|{record.offset}|".encode()
        return Output(dead, record.key or b"", note + (record.value or b""))

    return LaneSpec(
        source,
        mode,
        {STORE: changelog},
        lambda p: CountingProcessor(p, out, appends),
        dead_letter,
        (out, dead, appends) if appends else (out, dead),
    )


def read_count(value: bytes) -> int:
    """Return the count in a changelog value."""
    return int(_COUNT.unpack(value[: _COUNT.size])[0])
