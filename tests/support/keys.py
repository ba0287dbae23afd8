"""Lines of a write keys file."""

from __future__ import annotations

import json
from typing import Any

from services.shared.credentials import digest


def entry(write_key: str, source: str, **more: Any) -> str:
    """Return the line of a key that is known by its text to the test alone; of a server, unless told."""
    return "- " + json.dumps({"key_sha256": digest(write_key), "source": source, "client": "server", **more}) + "\n"
