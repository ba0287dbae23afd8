"""A vendor's JSON, read by path: what is missing reads as nothing, and what has the wrong type is refused with its path."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from services.ingest.domain.diagnosis import diagnose
from services.ingest.errors import Code
from services.shared.errors import Rejected

_BROKEN = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Payload:
    """The JSON object of one request, or one that is in it at a path, which errors then name."""

    __slots__ = ("_at", "_root")

    def __init__(self, root: dict[str, Any], at: tuple[str, ...] = ()) -> None:
        self._root = root
        self._at = at

    @classmethod
    def read(cls, body: bytes) -> Payload:
        """
        Read a body.

        Raises:
            Rejected: it is no JSON object.
        """
        try:
            return cls(_decode(body))
        except _BROKEN as error:
            raise diagnose(body, error) from None

    def get(self, *path: str) -> Any:
        """Return what is there; None where nothing is, or where something on the way is no object."""
        value: Any = self._root
        for name in path:
            if type(value) is not dict:
                return None
            value = value.get(name)
        return value

    def text(self, *path: str) -> str:
        """
        Return text, or an integer as its digits; empty where there is none.

        Raises:
            Rejected: it is of another type.
        """
        value = self.get(*path)
        if value is None:
            return ""
        if type(value) is int:
            return str(value)
        if type(value) is not str:
            raise self._wrong(path, "must be text")
        return value

    def required(self, *path: str) -> str:
        """
        Return text that has to be there.

        Raises:
            Rejected: it is not, or is of another type.
        """
        value = self.text(*path)
        if not value:
            raise self.missing(*path)
        return value

    def whole(self, *path: str) -> int | None:
        """
        Return a whole number; None where there is none.

        Raises:
            Rejected: it is of another type.
        """
        value = self.get(*path)
        if value is None or type(value) is int:
            return value
        raise self._wrong(path, "must be a whole number")

    def seconds(self, *path: str) -> str:
        """
        Return a time, sent as seconds since 1970, as ISO 8601.

        Raises:
            Rejected: it is missing, or no time.
        """
        value = self.whole(*path)
        if value is None:
            raise self.missing(*path)
        return self.moment(value, *path).isoformat().replace("+00:00", "Z")

    def day(self, *path: str) -> str | None:
        """
        Return the day of a time, sent as seconds since 1970, as ISO 8601; None where there is none.

        Raises:
            Rejected: it is no time.
        """
        value = self.whole(*path)
        return None if value is None else self.moment(value, *path).date().isoformat()

    def moment(self, seconds: int, *path: str) -> datetime:
        """
        Return a time in UTC.

        Raises:
            Rejected: no calendar has it.
        """
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            name = self._name(path)
            raise Rejected(Code.TIMESTAMP_OUT_OF_RANGE, name, f"{name} is no time in seconds since 1970") from None

    def inner(self, *path: str) -> Payload | None:
        """Return the object at a path; None where there is none."""
        value = self.get(*path)
        return Payload(value, (*self._at, *path)) if type(value) is dict else None

    def objects(self, *path: str) -> list[Payload]:
        """Return the objects of a list; none where there is no list, and without what is no object in it."""
        value = self.get(*path)
        if type(value) is not list:
            return []
        return [Payload(each, (*self._at, *path, str(index))) for index, each in enumerate(value) if type(each) is dict]

    def missing(self, *path: str) -> Rejected:
        """Return the refusal for what is not there."""
        name = self._name(path)
        return Rejected(Code.MISSING_FIELD, name, f"{name} is missing; events of this type have it")

    def wrong(self, name: str, what: str) -> Rejected:
        """Return the refusal for a member that `what` it must be says."""
        return self._wrong((name,), what)

    def _wrong(self, path: tuple[str, ...], what: str) -> Rejected:
        name = self._name(path)
        return Rejected(Code.WRONG_TYPE, name, f"{name} {what}")

    def _name(self, path: tuple[str, ...]) -> str:
        return ".".join((*self._at, *path))


class Mapped(NamedTuple):
    """What becomes of one webhook."""

    type: str
    """As the vendor names it."""
    events: list[dict[str, Any]]
    """In Segment's format, each with an id that is made of the vendor's; none where there is nothing to say."""
    why: str = ""
    """Why there are none."""
    test: bool = False
    """Whether the vendor says that it is none of production."""


def without_nothing(values: dict[str, Any]) -> dict[str, Any]:
    """Return the members that say something."""
    return {name: value for name, value in values.items() if value is not None and value != ""}
