"""
RudderStack's dialect: what its SDKs ask for beyond Segment's paths.

Its JavaScript SDK fetches `/sourceConfig` from `configUrl` before it sends anything, its beacons carry the key in the
query, and its pixels carry a whole event there.
"""

from __future__ import annotations

from typing import Any

from services.ingest.dialects import pixel, segment
from services.ingest.dialects.route import About, HttpRoute
from services.ingest.errors import OF_A_KEY
from services.ingest.http.call import Call, Reply, json_reply
from services.ingest.intake import EventIntake, missing_key
from services.ingest.write_keys import authorization


async def _source_config(call: Call, intake: EventIntake) -> Reply:
    """Tell the SDK that its source is enabled, has no destinations of its own, and reports nothing about itself."""
    key = intake.key(call)
    if key is None:
        raise missing_key()
    off = {"enabled": False}
    source: dict[str, Any] = {
        "id": key.source,
        "name": key.source,
        "writeKey": authorization.write_key(call),
        "workspaceId": "tidemark",
        "enabled": True,
        "config": {"statsCollection": {"errors": off, "metrics": off}},
        "connections": [],
        "destinations": [],
        "dataplanes": {},
    }
    return json_reply(200, {"source": source}, [(b"cache-control", b"private, max-age=300")])


_ABOUT_CONFIG = About(
    "Tell RudderStack's JavaScript SDK that its source is enabled.",
    parameters=("writeKey",),
    codes=OF_A_KEY,
)

ROUTES = (
    HttpRoute("GET", "/sourceConfig", "source_config", _source_config, _ABOUT_CONFIG),
    HttpRoute("POST", "/beacon/v1/batch", "batch", segment.events(), segment.BATCH),
    *(
        HttpRoute("GET", f"/pixel/v1/{kind}", "pixel", pixel.image(kind), pixel.about(kind))
        for kind in ("page", "track")
    ),
)
