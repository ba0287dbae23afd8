"""
Whether a request really comes from a vendor: its signature, checked over the body as it was sent, before it is parsed.

All three sign with HMAC-SHA256 and a secret that only they and this endpoint know; they differ in what they sign and how
they write it. Every claimed signature is compared with every secret in constant time, whether or not one has matched.

- Stripe: `Stripe-Signature: t=SECONDS,v1=HEX[,v1=HEX]`, over `SECONDS.BODY`.
- Zendesk: `X-Zendesk-Webhook-Signature: BASE64` over `TIMESTAMP` and body, with the time in
  `X-Zendesk-Webhook-Signature-Timestamp` as ISO 8601.
- Delighted: `X-Delighted-Webhook-Signature: sha256=HEX` over the body. It has no time, so a copy never expires.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from services.ingest.errors import Code
from services.shared.errors import Rejected

_LONGEST_HEADER = 2_048
_MOST_CLAIMS = 8
_DIGEST_BYTES = 32


class Signature(NamedTuple):
    """What the headers of a request claim."""

    header: str
    """Name of the header, for errors."""
    digests: tuple[bytes, ...]
    """One of them has to be right."""
    prefix: bytes = b""
    """What is signed before the body."""
    at: float | None = None
    """Seconds since 1970 at which it was signed; None where the vendor does not say."""


def claimed(vendor: str, headers: Mapping[bytes, bytes], now_s: float, tolerance_s: float) -> Signature:
    """
    Return what the headers claim. Needs no body, so that nobody's body is read who claims nothing usable.

    Args:
        vendor: One of the names in `VENDORS`.
        headers: With names in small letters.
        now_s: Seconds since 1970.
        tolerance_s: How far from now the time of a signature may be, in either direction.

    Raises:
        Rejected: there is no signature, it has another form, or its time is too far from now.
    """
    signature = _READERS[vendor](headers)
    if signature.at is not None and abs(now_s - signature.at) > tolerance_s:
        raise Rejected(
            Code.SIGNATURE_EXPIRED,
            signature.header,
            f"it was signed {abs(now_s - signature.at):.0f} s {'ago' if signature.at < now_s else 'ahead of now'}; at "
            f"most {tolerance_s:.0f} s are taken: check this machine's clock, or send it again",
        )
    return signature


def verify(signature: Signature, body: bytes, secrets: tuple[bytes, ...]) -> int:
    """
    Return the position of the secret that the body was signed with.

    Raises:
        Rejected: it was signed with none of them.
    """
    found = -1
    for position, secret in enumerate(secrets):
        mac = hmac.new(secret, signature.prefix, "sha256")
        mac.update(body)
        digest = mac.digest()
        for claim in signature.digests:
            if hmac.compare_digest(digest, claim) and found < 0:
                found = position
    if found < 0:
        raise _wrong(signature.header, "the body was not signed with a secret of this endpoint")
    return found


def _stripe(headers: Mapping[bytes, bytes]) -> Signature:
    name = "Stripe-Signature"
    time = b""
    digests: list[bytes] = []
    for part in _header(headers, name).split(b","):
        key, _, value = part.strip().partition(b"=")
        if key == b"t":
            time = value
        elif key == b"v1" and len(digests) < _MOST_CLAIMS:
            digests.append(_hex(value, name))
    if not time.isdigit() or len(time) > 12 or not digests:
        raise _wrong(name, "it needs a time and a signature: t=SECONDS,v1=HEX")
    return Signature(name, tuple(digests), time + b".", float(time))


def _zendesk(headers: Mapping[bytes, bytes]) -> Signature:
    name, dated = "X-Zendesk-Webhook-Signature", "X-Zendesk-Webhook-Signature-Timestamp"
    given, time = _header(headers, name), _header(headers, dated)
    try:
        digest = base64.b64decode(given, validate=True)
        moment = datetime.fromisoformat(time.decode("ascii"))
        at = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (binascii.Error, ValueError, OverflowError):
        raise _wrong(name, f"it must be base64, and {dated} a time in ISO 8601") from None
    return Signature(name, (_of_size(digest, name),), time, at)


def _delighted(headers: Mapping[bytes, bytes]) -> Signature:
    name = "X-Delighted-Webhook-Signature"
    given = _header(headers, name)
    if not given.startswith(b"sha256="):
        raise _wrong(name, "it must be sha256=HEX")
    return Signature(name, (_hex(given.removeprefix(b"sha256="), name),))


def _header(headers: Mapping[bytes, bytes], name: str) -> bytes:
    value = headers.get(name.lower().encode(), b"")
    if not value:
        raise Rejected(Code.MISSING_SIGNATURE, name, f"the request has no {name}; only the vendor itself can send it")
    if len(value) > _LONGEST_HEADER:
        raise _wrong(name, f"it has over {_LONGEST_HEADER} bytes")
    return value


def _hex(value: bytes, name: str) -> bytes:
    try:
        return _of_size(binascii.unhexlify(value), name)
    except (binascii.Error, ValueError):
        raise _wrong(name, "a signature must be 64 hexadecimal digits") from None


def _of_size(digest: bytes, name: str) -> bytes:
    if len(digest) != _DIGEST_BYTES:
        raise _wrong(name, "a signature must have 32 bytes")
    return digest


def _wrong(name: str, why: str) -> Rejected:
    return Rejected(Code.WRONG_SIGNATURE, name, why)


_READERS: dict[str, Callable[[Mapping[bytes, bytes]], Signature]] = {
    "stripe": _stripe,
    "zendesk": _zendesk,
    "delighted": _delighted,
}
VENDORS = tuple(_READERS)
"""Vendors whose webhooks are understood, as their paths name them."""
