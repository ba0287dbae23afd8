"""What a dialect is made of: routes, each with what the OpenAPI document says of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.ingest.errors import Code
from services.ingest.http.call import Call, Reply
from services.ingest.intake import EventIntake


@dataclass(frozen=True, slots=True)
class About:
    """What the OpenAPI document says of a route."""

    summary: str = ""
    body: str = ""
    """Schema of the request's body: `Batch`, `Event`, or none."""
    answer: str = ""
    """Schema of a JSON answer with 200: `Answer`, or none for any."""
    content_type: str = "application/json"
    """Of all answers, refusals included."""
    parameters: tuple[str, ...] = ()
    """Names of query parameters."""
    codes: tuple[Code, ...] = ()
    """With which it refuses a request, besides those of any request."""

    @property
    def keyed(self) -> bool:
        """Whether it asks for a write key."""
        return Code.MISSING_WRITE_KEY in self.codes


Serve = Callable[[Call, EventIntake], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One method of one path."""

    method: str
    """GET or POST; a HEAD is served by the route of GET."""
    path: str
    """May have variable segments: `/v1/projects/{key}/settings`."""
    endpoint: str
    """Name in metrics. Several routes may share one."""
    serve: Serve
    about: About = About()
