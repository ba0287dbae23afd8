"""
A ClickHouse server for tests: ClickHouse's HTTP interface in front of the engine that is embedded in chDB.

No ClickHouse server of a version that can be used here comes from a package registry, so this stands in its place: a process
of its own, asked over a socket by the client library that production uses. The engine is the real one; what is written here
is the HTTP interface, as far as clickhouse-connect uses it: query in the address or the body, parameters, settings, Native
blocks both ways, compressed bodies, users, errors by status and code.

Run it with `python -m tests.support.clickhouse_server FOLDER [CONFIG]`; it prints its port. It takes queries for as long as its
standard input is open. CONFIG is a configuration file of ClickHouse: with `users_config` it may name a file that says what the
engine's user, `default`, may do; everybody who gives the password is that user.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import chdb
import lz4.frame  # type: ignore[import-untyped]
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

USER, PASSWORD = "tidemark", "over the wire"
_TRANSPORT = frozenset(
    [
        "query",
        "database",
        "user",
        "password",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "compress",
        "decompress",
        "enable_http_compression",
        "wait_end_of_query",
        "buffer_size",
        "send_progress_in_http_headers",
        "role",
        "quota_key",
        "http_headers_progress_interval_ms",
        "client_protocol_version",
        "default_format",
    ]
)
_INSERT = re.compile(rb"\A\s*INSERT\s+INTO\s.+?\sFORMAT\s+Native\s*?\n", re.IGNORECASE | re.DOTALL)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.IGNORECASE)
_RETURNS_ROWS = re.compile(r"\A\s*(\(|SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN)\b", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)")
_STATUS = {"516": 403, "60": 404, "81": 404, "62": 400, "47": 400, "115": 400}
_OPEN = {"": lambda data: data, "lz4": lambda data: lz4.frame.open(io.BytesIO(data)).read(), "gzip": gzip.decompress}
"""Each block of an insert is a frame of its own: `lz4.frame.decompress` takes the first one alone, and says nothing."""


_connect: Any = chdb.connect  # two packages bring this module, one with types and one without


class _Engine:
    """The engine, a new session with each query as the HTTP interface has it."""

    def __init__(self, folder: Path, config: Path | None) -> None:
        self._address = str(folder) if config is None else f"{folder}?config-file={config}"
        # While a handle is open the engine stays up.
        self._kept = _connect(self._address)

    @contextmanager
    def session(self, parameters: Mapping[str, str]) -> Iterator[Any]:
        handle = _connect(self._address)
        try:
            if database := parameters.get("database"):
                handle.query(f"USE `{database}`")
            given = [
                each for each in parameters.items() if each[0] not in _TRANSPORT and not each[0].startswith("param_")
            ]
            if given:
                handle.query(f"SET {', '.join(f'{name} = {_quoted(value)}' for name, value in given)}")
            yield handle
        finally:
            handle.close()

    def insert(self, statement: bytes, data: bytes, parameters: Mapping[str, str]) -> dict[str, str]:
        """Store Native blocks; return how much."""
        with tempfile.NamedTemporaryFile(suffix=".native") as file, self.session(parameters) as handle:
            file.write(data)
            file.flush()
            into = re.sub(rb"\sFORMAT\s+Native\s*\Z", b"", statement, flags=re.IGNORECASE).decode()
            done = handle.query(f"{into} FROM INFILE {_quoted(file.name)} FORMAT Native")
            return {"written_rows": str(done.rows_read()), "written_bytes": str(done.bytes_read())}

    def run(self, statement: str, format_: str, parameters: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
        given = {name[6:]: value for name, value in parameters.items() if name.startswith("param_")}
        with self.session(parameters) as handle:
            done = handle.query(statement, format_, params=given)
            return done.bytes() or b"", {"read_rows": str(done.rows_read()), "read_bytes": str(done.bytes_read())}

    def stream(self, statement: str, format_: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
        """Yield an answer block by block; the first is taken before the answer's status is sent."""
        given = {name[6:]: value for name, value in parameters.items() if name.startswith("param_")}
        with self.session(parameters) as handle:
            for chunk in handle.send_query(statement, format_, params=given):
                yield chunk.bytes()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _refused(error: Exception) -> Response:
    text = str(error)
    found = _CODE.search(text)
    code = found[1] if found else "1002"
    return PlainTextResponse(text, _STATUS.get(code, 500), {"X-ClickHouse-Exception-Code": code})


def _allowed(request: Request) -> bool:
    name, secret = request.headers.get("X-ClickHouse-User", ""), request.headers.get("X-ClickHouse-Key", "")
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "basic":
        name, _, secret = base64.b64decode(given).decode().partition(":")
    return (name, secret) == (USER, PASSWORD)


def _body(request: Request, raw: bytes) -> bytes:
    opened: bytes = _OPEN[request.headers.get("Content-Encoding", "")](raw)
    return opened


def _form(content_type: str, body: bytes) -> dict[str, str]:
    parts = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body).iter_parts()
    return {str(part.get_param("name", header="content-disposition")): str(part.get_content()) for part in parts}


def application(folder: Path, config: Path | None = None) -> Starlette:
    """Return the HTTP interface over an engine with its files in `folder`."""
    engine = _Engine(folder, config)

    async def query(request: Request) -> Response:
        if not _allowed(request):
            return _refused(RuntimeError("Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)"))
        parameters = dict(request.query_params)
        body = _body(request, await request.body())
        if request.headers.get("Content-Type", "").startswith("multipart/form-data"):
            # What is too long for an address comes as a form.
            parameters |= _form(request.headers["Content-Type"], body)
            body = b""
        whole = parameters.get("query", "").encode() + (b"\n" if parameters.get("query") and body else b"") + body
        headers = {"X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Query-Id": parameters.get("query_id", "")}
        try:
            inserted = _INSERT.match(whole)
            if inserted:
                summary = await run_in_threadpool(engine.insert, inserted[0], whole[inserted.end() :], parameters)
                return Response(b"", headers={**headers, "X-ClickHouse-Summary": json.dumps(summary)})
            statement = whole.decode()
            named = _FORMAT.search(statement)
            format_ = named[1] if named else "TabSeparated"
            if named or _RETURNS_ROWS.match(statement):
                headers["X-ClickHouse-Format"] = format_
            # chDB gives each block as a file of its own: only Native blocks make a stream.
            waits = parameters.get("wait_end_of_query") == "1"
            if waits or format_ != "Native":
                try:
                    answer, summary = await run_in_threadpool(engine.run, statement, format_, parameters)
                except Exception as error:
                    if waits or not named:
                        raise
                    # An older server that has begun to answer: it says so in the body, and ends it as if it were whole.
                    return Response(f"{error}\n", headers=headers)
                return Response(answer, headers={**headers, "X-ClickHouse-Summary": json.dumps(summary)})
            chunks = engine.stream(statement, format_, parameters)
            first = await run_in_threadpool(next, chunks, b"")
        except Exception as error:  # noqa: BLE001  whatever the engine says is the answer
            return _refused(error)

        def everything() -> Iterator[bytes]:
            yield first
            yield from chunks

        return StreamingResponse(everything(), headers=headers)

    async def ping(_: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    return Starlette(routes=[Route("/ping", ping), Route("/", query, methods=["GET", "POST"])])


def main() -> None:
    """Serve until standard input ends, which it does with the process of the test."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    served = application(*map(Path, sys.argv[1:]))
    server = uvicorn.Server(uvicorn.Config(served, log_level="warning", lifespan="off"))

    def end() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    asyncio.run(server.serve([listening]))


@contextmanager
def clickhouse_server(folder: Path, config: Path | None = None) -> Iterator[str]:
    """Run the server in a process of its own; give its address, as CLICKHOUSE_URL takes it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.clickhouse_server", str(folder), *([str(config)] if config else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    try:
        port = int(process.stdout.readline())
        yield f"http://{USER}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}"
    finally:
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
