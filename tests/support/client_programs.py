"""
Runs real client SDKs: the programs of `tests/clients`, and the snippets of the documents.

A program finds all that differs between two runs in its environment, a page in `window.session`; the rest is what the
documentation of its vendor shows. What they need is locked by version and hash: Python packages with the project's own,
Node packages in `tests/node`, Go modules and jars beside their program.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from services.shared.kafka.embedded import jars
from services.shared.kafka.embedded.java import java
from tests.support import clients

FOLDER = Path(__file__).parents[1] / "clients"

Language = Literal["sh", "python", "node", "commonjs", "go", "java", "module", "html"]
"""What a source is written in; `module` and `html` are for a browser."""


@dataclass(frozen=True, slots=True)
class Session:
    """What differs between two runs of one program."""

    ingest: str
    write_key: str
    user: str
    account: str
    tracks: int = 10
    pause_ms: int = 0
    """After each track call."""

    def environment(self) -> dict[str, str]:
        """Return the environment of a program."""
        return os.environ | {
            "INGEST": self.ingest,
            "WRITE_KEY": self.write_key,
            "USER_ID": self.user,
            "ACCOUNT_ID": self.account,
            "TRACKS": str(self.tracks),
            "PAUSE_MS": str(self.pause_ms),
        }

    def script(self) -> str:
        """Return the script that gives it to a page."""
        names = {"ingest": self.ingest, "writeKey": self.write_key, "user": self.user, "account": self.account}
        return f"window.session = {json.dumps(names | {'tracks': self.tracks, 'pauseMs': self.pause_ms})};\n"


@dataclass(frozen=True, slots=True)
class Client:
    """One SDK, and the program with a session of it."""

    name: str
    package: str
    """As its vendor's registry calls it, with the version that is locked."""
    language: Language
    file: str

    @property
    def in_browser(self) -> bool:
        """Whether its program is a page."""
        return self.language in ("module", "html")

    def source(self) -> str:
        """Return its program."""
        return (FOLDER / self.file).read_text()


CLIENTS = {
    client.name: client
    for client in (
        Client("segment-node", "@segment/analytics-node", "node", "segment_node/session.mjs"),
        Client("segment-browser", "@segment/analytics-next", "module", "segment_browser/session.js"),
        Client("segment-snippet", "@segment/analytics-next", "html", "segment_snippet/session.html"),
        Client("segment-python", "segment-analytics-python", "python", "segment_python/session.py"),
        Client("segment-java", "com.segment.analytics.java:analytics", "java", "segment_java/Session.java"),
        Client("segment-go", "github.com/segmentio/analytics-go/v3", "go", "segment_go/main.go"),
        Client("rudderstack-node", "@rudderstack/rudder-sdk-node", "commonjs", "rudderstack_node/session.cjs"),
        Client("rudderstack-browser", "@rudderstack/analytics-js", "module", "rudderstack_browser/session.js"),
        Client("rudderstack-python", "rudder-sdk-python", "python", "rudderstack_python/session.py"),
    )
}


def missing(language: Language) -> str | None:
    """Return what is missing to run a language, with the command that installs it; None where nothing is."""
    try:
        require(language)
    except (pytest.skip.Exception, pytest.fail.Exception) as reason:
        return str(reason)
    return None


def require(language: Language) -> None:
    """Skip the test where what runs a language is missing; the reason is the command that installs it."""
    if language in ("node", "commonjs", "module", "html"):
        clients.node_package("@segment/analytics-node")
    if language in ("module", "html"):
        clients.chromium()
    if language == "go":
        clients.go()
    if language == "sh":
        clients.curl()


async def build(language: Language, source: str, folder: Path) -> list[str]:
    """
    Return the command that runs a program; what it takes to make it goes to an empty folder.

    Raises:
        RuntimeError: it does not compile; the text says why.
    """
    return await _BUILDERS[language](source, folder)


async def page_files(language: Language, source: str, session: Session, folder: Path) -> dict[str, str]:
    """
    Return the files of a page, path -> content: a module with all that it imports as one script, or HTML as it is.

    Raises:
        RuntimeError: the module cannot be bundled; the text says why.
    """
    standalone = clients.node_package("@segment/analytics-next") / "dist" / "umd" / "standalone.js"
    files = {"/session.js": session.script(), "/analytics.min.js": standalone.read_text()}
    if language == "html":
        return files | {"/": source}
    _with_node_modules(folder)
    (folder / "module.js").write_text(source)
    esbuild = clients.node_package("esbuild") / "bin" / "esbuild"
    await _call([str(esbuild), "module.js", "--bundle", "--format=esm", "--outfile=bundle.js"], folder)
    page = (
        '<!doctype html><title>Acme</title><script src="/session.js"></script><script type="module" src="/bundle.js">'
    )
    return files | {"/": f"{page}</script>", "/bundle.js": (folder / "bundle.js").read_text()}


async def run(command: list[str], session: Session, within_s: float = 60) -> str:
    """
    Run a program to its end; return what it said.

    Raises:
        RuntimeError: it failed; the text is what it said.
        TimeoutError: it did not end in time; it was killed.
    """
    return await _call(command, Path.cwd(), session.environment(), within_s)


async def _sh(source: str, folder: Path) -> list[str]:
    (folder / "session.sh").write_text(source)
    return ["bash", "-eu", str(folder / "session.sh")]


async def _python(source: str, folder: Path) -> list[str]:
    (folder / "session.py").write_text(source)
    return [sys.executable, str(folder / "session.py")]


async def _node(source: str, folder: Path, name: str = "session.mjs") -> list[str]:
    _with_node_modules(folder)
    (folder / name).write_text(source)
    return [clients.node(), str(folder / name)]


async def _commonjs(source: str, folder: Path) -> list[str]:
    return await _node(source, folder, "session.cjs")


async def _go(source: str, folder: Path) -> list[str]:
    for file in ("go.mod", "go.sum"):
        shutil.copy(FOLDER / "segment_go" / file, folder)
    (folder / "main.go").write_text(source)
    await _call([clients.go(), "build", "-o", "session", "."], folder, within_s=170)
    return [str(folder / "session")]


async def _java(source: str, folder: Path) -> list[str]:
    """The runtime that comes with Tidemark has no compiler; Eclipse's is one of the locked jars."""
    lock = FOLDER / "segment_java" / "jars.lock"
    paths = await asyncio.to_thread(partial(jars.ensure, lock, what="Segment's SDK for Java (7 MB, once)"))
    compiler = next(path for path in paths if path.name.startswith("ecj-"))
    classes = [*map(str, paths), str(folder)]
    found = re.search(r"class (\w+)", source)
    if found is None:
        raise RuntimeError("there is no class in the program")
    (folder / f"{found[1]}.java").write_text(source)
    options = ["-17", "-nowarn", "-cp", os.pathsep.join(classes), f"{found[1]}.java"]
    await _call([java(), "-jar", str(compiler), *options], folder)
    return [java(), "-cp", os.pathsep.join(classes), found[1]]


_BUILDERS: dict[Language, Callable[[str, Path], Awaitable[list[str]]]] = {
    "sh": _sh,
    "python": _python,
    "node": _node,
    "commonjs": _commonjs,
    "go": _go,
    "java": _java,
}


def _with_node_modules(folder: Path) -> None:
    (folder / "node_modules").symlink_to(clients.NODE_FOLDER / "node_modules")


async def _call(
    command: list[str], folder: Path, environment: dict[str, str] | None = None, within_s: float = 60
) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), within_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with status {process.returncode}:\n{said.decode()}")
    return said.decode()
