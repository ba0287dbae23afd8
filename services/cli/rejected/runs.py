"""
The requests in which originals go through ingest again.

Letters that stand next to each other and were refused in the same request go together again, so a replay makes no more
requests than the sender did. Everything else goes alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from services.cli.rejected.letters import Letter
from services.shared.replays import HEADER, Replay, RequestFacts
from services.shared.units import written_time

MOST_LETTERS = 500
MOST_BYTES = 500_000
"""Of originals in one request, unless a single one is larger."""


class ReplayRequest(NamedTuple):
    """One request to ingest."""

    path: str
    body: bytes
    headers: dict[str, str]


@dataclass(slots=True)
class Run:
    """Letters of one request, in the order of the topic; at least one."""

    letters: list[Letter]
    size: int = field(default=0)

    def __post_init__(self) -> None:
        """Count its bytes."""
        self.size = sum(len(letter.original) for letter in self.letters)

    @property
    def source(self) -> str:
        """Return the source of all its letters."""
        return str(self.letters[0].value["source"])

    @property
    def facts(self) -> RequestFacts:
        """Return what their request said."""
        return self.letters[0].facts or RequestFacts()

    def add(self, letter: Letter) -> bool:
        """Take a letter that goes in the same request; return whether it does."""
        first, last = self.letters[0], self.letters[-1]
        same = (
            letter.partition == last.partition
            and letter.offset == last.offset + 1
            and all(letter.value[name] == first.value[name] for name in ("source", "rejected_at", "request"))
        )
        alone = self.facts.whole or self.facts.kind
        full = len(self.letters) >= MOST_LETTERS or self.size + len(letter.original) > MOST_BYTES
        if not same or alone or full:
            return False
        self.letters.append(letter)
        self.size += len(letter.original)
        return True

    def call(self, *, any_source: bool = False) -> ReplayRequest:
        """Return the request; where `any_source`, ingest does not compare the source of the write key."""
        facts = self.facts
        first, last = self.letters[0], self.letters[-1]
        headers = replay_header(
            Replay(
                partition=first.partition,
                first=first.offset,
                last=last.offset,
                received_at=first.value["rejected_at"],
                source=None if any_source else self.source,
                environment=None if any_source else facts.environment,
                client=facts.client,
                actor=facts.actor,
                cleaned=facts.cleaned,
            )
        )
        if facts.encoding:
            headers["Content-Encoding"] = facts.encoding
        if facts.backfill:  # the drive that it belonged to is over: epoch 0 says "at the times as they are sent"
            headers["Tidemark-Epoch"] = "0"
        if facts.historical:
            headers["Tidemark-Historical"] = "true"
        if facts.whole or facts.kind:
            return ReplayRequest(f"/v1/{facts.kind or 'batch'}", first.original, headers)
        beside: dict[str, object] = {}
        if facts.sent_at is not None:
            beside["sentAt"] = written_time(facts.sent_at, "milliseconds")
        if facts.context is not None:
            beside["context"] = facts.context
        events = b",".join(letter.original for letter in self.letters)
        more = b"," + msgspec.json.encode(beside)[1:] if beside else b"}"
        return ReplayRequest("/v1/batch", b'{"batch":[' + events + b"]" + more, headers)


async def runs_of(letters: AsyncIterator[Letter]) -> AsyncIterator[Run]:
    """Put letters together, each partition for itself; holds one run of each partition."""
    open_runs: dict[int, Run] = {}
    async for letter in letters:
        run = open_runs.get(letter.partition)
        if run is not None and run.add(letter):
            continue
        if run is not None:
            yield run
        open_runs[letter.partition] = Run([letter])
    for run in open_runs.values():
        yield run


def replay_header(replay: Replay) -> dict[str, str]:
    """Return the header that names letters; a header takes ASCII alone."""
    return {HEADER: json.dumps(msgspec.to_builtins(replay))}
