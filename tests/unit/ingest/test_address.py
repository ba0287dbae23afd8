"""The address that documents tell browsers to send to: what is set, else a name of this machine that the request has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.ingest.dialects.address import Address, public_address
from services.ingest.http.call import Call
from services.ingest.http.receiving import Incoming
from services.shared.errors import Rejected

HERE = ("10.0.0.5", 8080)


def asked(host: str, server: Any = HERE, **scope: str) -> Call:
    """Return a request that was sent to a host, and came in at an address of this machine."""
    incoming = Incoming(asyncio.Queue().get, {})
    return Call("GET", "/", {}, b"", {b"host": host.encode()}, incoming, {"server": server, **scope})


@pytest.mark.parametrize(
    "host", ["10.0.0.5:8080", "10.0.0.5", "localhost:8080", "127.0.0.1:18080", "127.9.9.9", "[::1]:8080", "[::1]"]
)
def test_a_host_is_believed_that_is_this_machine_by_its_number_or_its_own_name(host: str) -> None:
    assert public_address(asked(host, scheme="https"), "") == Address("https", host)


@pytest.mark.parametrize("host", ["", "10.0.0.6:8080", "0.0.0.0", "localhost.example", "999.0.0.1", "10.0.0.5:123456"])
def test_no_other_host_is_believed(host: str) -> None:
    with pytest.raises(Rejected, match="TIDEMARK_INGEST_PUBLIC_URL"):
        public_address(asked(host), "")


@pytest.mark.parametrize("server", [None, ("/run/tidemark.sock", None)])
def test_behind_a_socket_that_has_no_number_this_machine_is_its_loopback_alone(server: Any) -> None:
    assert str(public_address(asked("127.0.0.1:8080", server), "")) == "http://127.0.0.1:8080"
    with pytest.raises(Rejected):
        public_address(asked("10.0.0.5:8080", server), "")


def test_what_is_set_is_told_whatever_the_request_says() -> None:
    assert public_address(asked("evil.example"), "https://in.example:8443") == Address("https", "in.example:8443")
