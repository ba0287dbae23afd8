"""A file that a form sends, bounded."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

MOST_BYTES = 4_000_000
_AROUND = 10_000
"""Bytes that a form has beside its file."""


class TooLarge(Exception):
    """The file has more than MOST_BYTES."""


class Unreadable(Exception):
    """What came is no form with a file."""


async def file_of(request: Request, field: str) -> tuple[str, bytes, frozenset[str]]:
    """
    Return name and content of the file of a form, and the names of its fields; without a file, name and content are empty.

    Raises:
        TooLarge: the request has more bytes than a file may have.
        Unreadable: it is no such form.
    """
    try:
        form = await MultiPartParser(request.headers, _bounded(request), max_files=1, max_fields=8).parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise Unreadable(str(error)) from error
    try:
        given = form.get(field)
        if not isinstance(given, UploadFile):
            raise Unreadable(f"there is no file {field!r}")
        content = await given.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise TooLarge
        return (given.filename or "")[:200], content, frozenset(form)
    finally:
        await form.close()


async def _bounded(request: Request) -> AsyncGenerator[bytes, None]:
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES + _AROUND:
            raise TooLarge
        yield part
