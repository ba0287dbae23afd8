"""Who sends: the write key as the headers or the query of a request name it."""

from __future__ import annotations

import base64
import binascii

from services.ingest.dialects.route import Call
from services.ingest.keys import WriteKey, WriteKeys
from services.ingest.receiving import unknown_key

_REMEMBERED_HEADERS = 10_000
_LONGEST_AUTHORIZATION = 2_048


class Authorization:
    """Finds write keys, and remembers the headers in which it found one."""

    def __init__(self, keys: WriteKeys) -> None:
        self._keys = keys
        self.remembered: dict[bytes, WriteKey] = {}
        self._version = keys.version

    def key(self, call: Call) -> WriteKey | None:
        """
        Return the key that headers or query name; None where they name none and the body may.

        Raises:
            Rejected: there is no such key.
        """
        given = call.headers.get(b"authorization", b"")
        if given[:6].lower() == b"basic ":
            key = self._basic(given)
        elif b"x-write-key" in call.headers:
            key = self._keys.find(call.header(b"x-write-key"))
        elif b"writeKey=" in call.query:
            key = self._keys.find(call.argument("writeKey"))
        else:
            return None
        if key is None:
            raise unknown_key()
        return key

    def _basic(self, given: bytes) -> WriteKey | None:
        if self._version != self._keys.version or len(self.remembered) > _REMEMBERED_HEADERS:
            self.remembered, self._version = {}, self._keys.version
        key = self.remembered.get(given)
        if key is None and len(given) <= _LONGEST_AUTHORIZATION:
            key = self._keys.find(_user_of(given))
            if key is not None:  # what is unknown is not remembered: anybody can make up any number of it
                self.remembered[given] = key
        return key


def _user_of(header: bytes) -> str:
    try:
        return base64.b64decode(header[6:].strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
