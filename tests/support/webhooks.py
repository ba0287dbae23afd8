"""Webhooks as vendors send them: payloads of their documentation, and their signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FIXTURES = sorted((Path(__file__).parents[1] / "contract" / "ingest" / "webhooks").glob("*.json"))

Headers = dict[bytes, bytes]


def fixture(name: str) -> dict[str, Any]:
    """Return a payload, the page of the vendor that shows its shape, and what becomes of it."""
    return next(json.loads(path.read_text()) for path in FIXTURES if path.stem == name)


def stripe(secret: bytes, body: bytes, at: float) -> Headers:
    """Sign as https://docs.stripe.com/webhooks#verify-manually describes it."""
    signature = _mac(secret, f"{at:.0f}.".encode() + body).hex()
    return {b"stripe-signature": f"t={at:.0f},v1={signature},v0=6ffbb59b2300aae63f272406069a9788598b792a".encode()}


def zendesk(secret: bytes, body: bytes, at: float) -> Headers:
    """Sign as https://developer.zendesk.com/documentation/webhooks/verifying/ describes it."""
    time = datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z").encode()
    signature = base64.b64encode(_mac(secret, time + body))
    return {b"x-zendesk-webhook-signature": signature, b"x-zendesk-webhook-signature-timestamp": time}


def delighted(secret: bytes, body: bytes, _at: float) -> Headers:
    """Sign as https://app.delighted.com/docs/api/webhooks describes it."""
    return {b"x-delighted-webhook-signature": b"sha256=" + _mac(secret, body).hex().encode()}


SIGN: dict[str, Callable[[bytes, bytes, float], Headers]] = {
    "stripe": stripe,
    "zendesk": zendesk,
    "delighted": delighted,
}


def _mac(secret: bytes, message: bytes) -> bytes:
    return hmac.new(secret, message, hashlib.sha256).digest()
