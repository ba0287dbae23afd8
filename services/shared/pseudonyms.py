"""
Pseudonyms: what the long log has in place of user ids.

A pseudonym is a keyed hash of the id, so the same id has the same one everywhere, and without the key nobody can tell
which id it stands for, or try ids out. All ingest processes of an installation need the same key.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import blake2b

PREFIX = "u_"
_DIGEST_BYTES = 15
"""120 bits, 20 characters of Base64 without padding: among a billion people two share one with odds of 1 in 10^18."""
PSEUDONYM = re.compile(r"u_[A-Za-z0-9_-]{20}")
KEY_BYTES = 32
_REMEMBERED = 100_000
"""Ids of each kind, 45 MB at the most, and half of that if they are ordinary. When there are more, all are forgotten."""
_REMEMBERED_CHARS = 64
"""The longest id whose pseudonym is remembered; senders choose how long ids are."""


class KnownPseudonyms(dict[str, str]):
    """The latest pseudonyms by id; one that is not there is made."""

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, id_: str) -> str:
        """Make the pseudonym of an id, and remember it if that takes little."""
        made = self._make(id_)
        if len(id_) <= _REMEMBERED_CHARS:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[id_] = made
        return made


class Pseudonyms:
    """The pseudonyms of one installation."""

    def __init__(self, key: bytes) -> None:
        """Take the secret key, of `KEY_BYTES` bytes."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a pseudonym key has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self.of: Callable[[str], str] = KnownPseudonyms(self._of).__getitem__
        """Return the pseudonym of a user id; the empty one has none."""
        self.of_anonymous: Callable[[str], str] = KnownPseudonyms(self._of_anonymous).__getitem__
        """Return that of an anonymous id: another one, though both ids be the same text. Browsers choose anonymous ids."""

    @property
    def fingerprint(self) -> str:
        """What can be shown of the key: two processes with the same one have the same key."""
        return blake2b(key=self._key, digest_size=4, person=b"fingerprint").hexdigest()

    def content_hash(self, content: bytes) -> str:
        """Return a hash of what an event holds, 32 hexadecimal digits: without the key nobody can try out who it is of."""
        return blake2b(content, key=self._key, digest_size=16, person=b"content").hexdigest()

    def _of(self, id_: str) -> str:
        return self._pseudonym(id_, b"")

    def _of_anonymous(self, id_: str) -> str:
        return self._pseudonym(id_, b"anonymous")

    def _pseudonym(self, id_: str, space: bytes) -> str:
        if not id_:
            return ""
        digest = blake2b(id_.encode(), key=self._key, digest_size=_DIGEST_BYTES, person=space).digest()
        return PREFIX + urlsafe_b64encode(digest).decode()


def read_key(text: str) -> bytes:
    """
    Return the key that hexadecimal text stands for.

    Raises:
        ValueError: it is no such text, or of another length.
    """
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"give {KEY_BYTES} bytes as {2 * KEY_BYTES} hexadecimal digits, such as `openssl rand -hex 32` prints"
        )
    return key
