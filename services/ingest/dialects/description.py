"""The service's description of itself: GET /openapi.json."""

from __future__ import annotations

from services.ingest.dialects.route import About, Call, Reply, Route
from services.ingest.intake import Intake


async def _document(_call: Call, intake: Intake) -> Reply:
    return Reply(200, intake.description)


ROUTES = (Route("GET", "/openapi.json", "openapi", _document, About("Describe this service as OpenAPI 3.1.")),)
