"""Ids come from a registry, which is asked to look up first and to register only what it does not have."""

import json

import httpx
import pytest

from schemas import codec, released
from schemas.registry import RegistryError, connect_registry

pytestmark = pytest.mark.usefixtures("restored_ids")


class Registry:
    """Speaks the two requests of a schema registry that matter here."""

    def __init__(self, *, failures: int = 0) -> None:
        self.ids: dict[str, int] = {}
        self.registered: list[str] = []
        self.failures = failures

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.failures:
            self.failures -= 1
            return httpx.Response(503)
        schema = json.loads(request.content)["schema"]
        if request.url.path.endswith("/versions"):
            self.registered.append(request.url.path.split("/")[2])
            self.ids[schema] = 500 + len(self.ids)
        if schema not in self.ids:
            return httpx.Response(404, json={"error_code": 40403, "message": "Schema not found"})
        return httpx.Response(200, json={"id": self.ids[schema]})


def test_schemas_are_registered_under_the_record_name_and_used() -> None:
    registry = Registry()

    connect_registry("http://registry.test/", transport=httpx.MockTransport(registry))

    assert sorted(registry.registered) == sorted(f.subject for f in released.FILES)
    assert "io.tidemark.UsageEvent" in registry.registered
    assert sorted(codec.FILE_IDS.values()) == sorted(registry.ids.values())
    assert codec.decode(codec.encoder("tick")({"at": 1})) == ("tick", {"at": 1, "epoch": 0, "settled": 0})


def test_a_schema_that_the_registry_has_is_not_registered_again() -> None:
    registry = Registry()
    connect_registry("http://registry.test", transport=httpx.MockTransport(registry))
    registry.registered.clear()

    connect_registry("http://registry.test", transport=httpx.MockTransport(registry))

    assert registry.registered == []


def test_a_registry_that_is_away_for_a_moment_is_asked_again() -> None:
    registry = Registry(failures=2)

    connect_registry("http://registry.test", transport=httpx.MockTransport(registry))

    assert min(codec.SCHEMA_IDS.values()) >= 500


def test_a_refused_schema_stops_the_start_with_what_to_do() -> None:
    before = dict(codec.SCHEMA_IDS)

    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(409, json={"message": "incompatible"})

    with pytest.raises(RegistryError, match="incompatible.*check the subject's compatibility"):
        connect_registry("http://registry.test", transport=httpx.MockTransport(refuse))
    assert before == codec.SCHEMA_IDS


def test_a_registry_that_stays_away_is_named() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with pytest.raises(RegistryError, match="SCHEMA_REGISTRY_URL"):
        connect_registry("http://registry.test", patience_s=0.0, transport=httpx.MockTransport(away))
