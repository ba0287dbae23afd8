"""The service's description of itself: GET /openapi.json."""

from __future__ import annotations

from services.ingest.dialects.route import About, HttpRoute
from services.ingest.http.call import Call, Reply
from services.ingest.intake import EventIntake


async def _document(_call: Call, intake: EventIntake) -> Reply:
    return Reply(200, intake.description)


ROUTES = (HttpRoute("GET", "/openapi.json", "openapi", _document, About("Describe this service as OpenAPI 3.1.")),)
