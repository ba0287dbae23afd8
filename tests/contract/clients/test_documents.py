"""The snippets of the documents, as a reader copies them: each sends its event, and ingest takes it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support import client_programs
from tests.support.client_programs import Language, Session
from tests.support.client_sessions import Ended, Sessions
from tests.support.memory_ingest import MemoryIngest

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[3]
DOCUMENTS = ("README.md", "docs/ingest.md", "docs/clients.md")
HOST, KEY = "http://127.0.0.1:8080", "WRITE_KEY"


@dataclass(frozen=True, slots=True)
class Snippet:
    """A block of a document that sends something."""

    name: str
    language: Language
    text: str

    @property
    def kind(self) -> str:
        """What it sends: the tracker's script tag a page view, all others a track call."""
        return "PAGE" if "/t.js" in self.text else "TRACK"


def snippets() -> list[Snippet]:
    found = []
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if HOST in match[2] and KEY in match[2]:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Snippet(f"{document}:{line}", language(match[1], match[2]), match[2]))
    return found


def language(fence: str, text: str) -> Language:
    if fence == "js":
        return "commonjs" if "require(" in text else "node" if "-node" in text else "module"
    known: dict[str, Language] = {"sh": "sh", "python": "python", "java": "java", "go": "go", "html": "html"}
    return known[fence]


SNIPPETS = {snippet.name: snippet for snippet in snippets()}


class Readers:
    """Copy every snippet, all at once; each has a write key of its own."""

    def __init__(self, sessions: Sessions) -> None:
        self.keys = {name: f"key-{number}" for number, name in enumerate(SNIPPETS)}
        self.ingest = MemoryIngest(self.keys.values())
        self._sessions = sessions
        self._running: dict[str, asyncio.Task[Ended]] = {}

    async def read(self, snippet: Snippet) -> Ended:
        for name, each in SNIPPETS.items():
            if name not in self._running and client_programs.missing(each.language) is None:
                self._running[name] = asyncio.create_task(self._copy(each))
        return await self._running[snippet.name]

    async def close(self) -> None:
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self.ingest.stop()

    async def _copy(self, snippet: Snippet) -> Ended:
        key = self.keys[snippet.name]
        text = snippet.text.replace(HOST, self.ingest.address).replace(KEY, key)
        session = Session(self.ingest.address, key, "ada", "acme")

        def arrived() -> bool:
            return any(event["kind"] == snippet.kind for event in self.ingest.events(key))

        return await self._sessions.run(snippet.language, text, session, arrived)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def readers(sessions: Sessions) -> AsyncIterator[Readers]:
    everyone = Readers(sessions)
    await everyone.ingest.start()
    yield everyone
    await everyone.close()


@pytest.mark.parametrize("snippet", SNIPPETS.values(), ids=SNIPPETS)
async def test_a_snippet_sends_its_event_as_it_is(readers: Readers, snippet: Snippet) -> None:
    client_programs.require(snippet.language)

    session = await readers.read(snippet)
    key = readers.keys[snippet.name]
    sent = [event for event in readers.ingest.events(key) if event["kind"] == snippet.kind]

    assert [event["account"] for event in sent] == ["acme"], session.said
    assert snippet.kind == "PAGE" or sent[0]["name"] == "Report Shared"
    assert not readers.ingest.rejected(key), session.said


async def test_every_client_has_a_snippet() -> None:
    """A document with fewer blocks than clients would pass without a word."""
    text = (ROOT / "docs/clients.md").read_text()

    for client in client_programs.CLIENTS.values():
        assert client.package in text
    assert len([name for name in SNIPPETS if name.startswith("docs/clients.md")]) >= len(client_programs.CLIENTS)
    assert {snippet.language for name, snippet in SNIPPETS.items() if name.startswith("README")} >= {
        "sh",
        "python",
        "node",
        "module",
    }
