"""
Print what the embedded warehouse of a folder has stored: `python -m tests.chaos.stored FOLDER`, JSON, ids with counts.

A process of its own: the engine keeps its memory until its process ends, and its folder to itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from services.warehouse.clickhouse.store import open_embedded

_QUERY = "SELECT event_id, count() AS stored FROM events_unique WHERE topic = 'usage-events' GROUP BY event_id"


def main() -> int:
    """Print one JSON object."""
    store = open_embedded(Path(sys.argv[1]) / "clickhouse", "tidemark")
    try:
        print(json.dumps({each["event_id"]: each["stored"] for each in store._found(_QUERY)}))
    finally:
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
