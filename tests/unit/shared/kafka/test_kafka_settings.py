"""The connection to the cluster is checked before anything connects."""

from __future__ import annotations

import asyncio
import resource
import ssl
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.shared.errors import ConfigurationError
from services.shared.kafka.cause import find_cause
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import load


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One start shows all that has to be put right."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "broker")
    monkeypatch.setenv("TIDEMARK_PARTITIONS", "none")
    monkeypatch.setenv("TIDEMARK_TOPIC_PREFIX", "a b")
    monkeypatch.setenv("KAFKA_SSL_CAFILE", "/nowhere/ca.pem")

    with pytest.raises(ConfigurationError) as caught:
        load(KafkaSettings)

    names = [problem.partition(":")[0] for problem in caught.value.problems]
    assert names == ["KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SSL_CAFILE", "TIDEMARK_TOPIC_PREFIX", "TIDEMARK_PARTITIONS"]


def test_sasl_without_credentials_is_refused() -> None:
    """The error names both variables."""
    with pytest.raises(ConfigurationError, match="KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"):
        load(KafkaSettings, security_protocol="SASL_SSL")


def test_sasl_and_tls_reach_the_clients() -> None:
    """What is set is what aiokafka gets; the password shows in no text of the settings."""
    kafka = load(KafkaSettings, security_protocol="SASL_SSL", sasl_username="me", sasl_password="very-secret")

    options = kafka.client_options()

    assert options["sasl_plain_password"] == "very-secret"
    assert options["security_protocol"] == "SASL_SSL"
    assert options["ssl_context"] is not None
    assert "very-secret" not in repr(kafka)


def test_names_carry_the_prefix() -> None:
    """Two deployments on one cluster do not meet."""
    assert KafkaSettings(topic_prefix="blue-").scoped("usage-events") == "blue-usage-events"


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a certificate that signs itself, and its key; return where they are."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


async def test_a_certificate_that_is_replaced_before_its_key_ends_no_process_that_runs(tmp_path: Path) -> None:
    """Clients are made all the time, by the watch of the cluster every five seconds: they go on with what was read at the start."""
    certificate, key = _certificate(tmp_path, "client")
    kafka = load(
        KafkaSettings,
        bootstrap_servers=f"127.0.0.1:{free_port()}",
        security_protocol="SSL",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    certificate.write_bytes(_certificate(tmp_path, "next")[0].read_bytes())

    cause = await find_cause(kafka)

    assert cause is not None
    assert "nothing listens" in cause.text
    with pytest.raises(ConfigurationError, match="KAFKA_SSL_KEYFILE: the key does not belong"):
        load(KafkaSettings, security_protocol="SSL", ssl_certfile=certificate, ssl_keyfile=key)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_client_that_lives_on_makes_its_next_connection_with_certificates_that_were_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """And with the former ones while the new ones are written. Both loops ask a context for a connection in the same way."""
    certificate, key = _certificate(tmp_path, "client")
    former, following = certificate.read_bytes(), _certificate(tmp_path, "next")
    context = KafkaSettings(
        security_protocol="SSL", ssl_cafile=certificate, ssl_certfile=certificate, ssl_keyfile=key
    ).client_options()["ssl_context"]
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    serving.verify_mode = ssl.CERT_REQUIRED
    for each in (certificate, following[0]):
        serving.load_verify_locations(each)
    shown: list[bytes] = []

    async def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shown.append(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        writer.close()

    async def connect(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        await reader.read()
        writer.close()
        return shown.pop()

    async def replace() -> None:
        async with await asyncio.start_server(note, "127.0.0.1", 0, ssl=serving) as server:
            port = server.sockets[0].getsockname()[1]
            first = await connect(port)
            certificate.write_bytes(former + following[0].read_bytes())  # the server's is still trusted
            assert await connect(port) == first
            certificate.write_bytes(following[0].read_bytes() + former)
            assert await connect(port) == first
            key.write_bytes(following[1].read_bytes())
            assert await connect(port) != first

    caplog.set_level("INFO")
    run(replace())

    told = [(each.message, getattr(each, "cause", "")) for each in caplog.records if each.name.endswith("kafka.tls")]
    assert told == [
        ("certificates_read_again", ""),
        ("certificates_do_not_fit", "KAFKA_SSL_KEYFILE: the key does not belong to KAFKA_SSL_CERTFILE"),
        ("certificates_read_again", ""),
    ]


def test_a_certificate_that_could_not_be_read_for_a_moment_is_read_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the same file: somebody gave it to its user after it was written, or the process had too many files open."""
    certificate, _ = _certificate(tmp_path, "client")
    context = KafkaSettings(security_protocol="SSL", ssl_cafile=certificate).tls()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def connect() -> None:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="127.0.0.1")

    caplog.set_level("INFO")
    certificate.write_bytes(_certificate(tmp_path, "next")[0].read_bytes())
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        connect()
        connect()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    connect()
    connect()

    told = [(each.message, getattr(each, "cause", "")) for each in caplog.records if each.name.endswith("kafka.tls")]
    assert told == [
        ("certificates_do_not_fit", f"KAFKA_SSL_CAFILE: {certificate} cannot be read: Too many open files"),
        ("certificates_read_again", ""),
    ]
