"""The routes of all dialects in one table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from starlette.routing import compile_path

from services.ingest.dialects import description, pixel, rudderstack, segment, tracker, webhooks
from services.ingest.dialects.route import HttpRoute

DIALECTS = (segment, rudderstack, pixel, tracker, webhooks, description)
"""Every module with `ROUTES`."""

Methods = dict[str, HttpRoute]
_NONE: Mapping[str, str] = {}


class RouteTable:
    """Finds the routes of a path: one look-up for a fixed path, a few patterns for one with variable segments."""

    def __init__(self, routes: Iterable[HttpRoute]) -> None:
        """
        Take the routes in.

        Raises:
            ValueError: two of them have the same method and path.
        """
        self.routes = tuple(routes)
        self._fixed: dict[str, Methods] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], Methods]] = {}
        for route in self.routes:
            if "{" in route.path:
                pattern = compile_path(route.path)[0]
                methods = self._patterns.setdefault(route.path, (pattern, {}))[1]
            else:
                methods = self._fixed.setdefault(route.path, {})
            if route.method in methods:
                raise ValueError(f"two routes are {route.method} {route.path}")
            methods[route.method] = route

    def find(self, path: str) -> tuple[Methods, Mapping[str, str]]:
        """Return the routes of a path by method, none if nothing is there, and its variable segments."""
        methods = self._fixed.get(path)
        if methods is not None:
            return methods, _NONE
        for pattern, found in self._patterns.values():
            match = pattern.match(path)
            if match is not None:
                return found, match.groupdict()
        return {}, _NONE


def every_route() -> RouteTable:
    """Return the routes of all dialects."""
    return RouteTable(route for dialect in DIALECTS for route in dialect.ROUTES)
