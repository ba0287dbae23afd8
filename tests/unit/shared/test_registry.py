"""Every process takes its schema ids from the registry, where one is set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from schemas import codec, released
from schemas.registry import RegistryError, connect_registry
from services.shared.errors import ConfigurationError, Fatal
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.registry import RegistrySettings, use_registry
from services.shared.settings import load
from tests.support.served import stub


class _Registry(BaseHTTPRequestHandler):
    schemas: list[bytes]

    def do_POST(self) -> None:
        schema = self.rfile.read(int(self.headers["Content-Length"]))
        if schema not in self.schemas:
            self.schemas.append(schema)
        body = json.dumps({"id": 1000 + self.schemas.index(schema), "version": 1}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def registry() -> Iterator[str]:
    with stub(type("Registry", (_Registry,), {"schemas": []})) as address:
        yield f"http://{address}"


@pytest.fixture
def ids_restored() -> Iterator[None]:
    before = {file.path: file.lock_id for file in released.FILES}
    yield
    codec.use_ids(before)


@pytest.mark.usefixtures("ids_restored")
def test_ids_are_those_of_the_registry_that_the_variable_names(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", registry)

    use_registry(load(RegistrySettings))

    tick = codec.encoder("tick")({"at": 1})
    assert codec.schema_id(tick) >= 1000
    assert codec.decode(tick) == ("tick", {"at": 1, "epoch": 0, "settled": 0})


def test_without_the_variable_the_ids_are_those_of_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCHEMA_REGISTRY_URL", raising=False)
    before = dict(codec.SCHEMA_IDS)

    use_registry(load(RegistrySettings))

    assert before == codec.SCHEMA_IDS


def test_a_registry_that_refuses_a_schema_is_fatal_and_named(monkeypatch: pytest.MonkeyPatch, registry: str) -> None:
    monkeypatch.setattr(_Registry, "do_POST", lambda self: self.send_error(409, "incompatible"))

    with pytest.raises(Fatal, match="AccountAliases version 1 was answered with 409"):
        use_registry(RegistrySettings(url=registry))


def test_a_registry_that_is_away_is_named_without_its_password() -> None:
    address = f"127.0.0.1:{free_port()}"

    with pytest.raises(RegistryError, match=f"schema registry at {address}: ") as caught:
        connect_registry(f"http://user:very-secret@{address}", patience_s=0.0)

    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["registry:8081", "ftp://registry", "http://", "http://registry:99999"])
def test_what_is_no_address_is_a_wrong_setting_and_not_asked_for_a_minute(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", address)

    with pytest.raises(ConfigurationError, match="SCHEMA_REGISTRY_URL: give http"):
        load(RegistrySettings)
