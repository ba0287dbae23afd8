"""Why a cluster cannot be reached is said, quickly, each cause in its own words: against a real broker with TLS and SASL."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.shared.errors import ConfigurationError, Fatal
from services.shared.kafka.cause import Cause, find_cause
from services.shared.kafka.clients import wait_for_broker
from services.shared.kafka.embedded import broker as embedded
from services.shared.kafka.embedded import broker_config
from services.shared.kafka.embedded.broker import EmbeddedBroker
from services.shared.kafka.embedded.free_ports import free_port
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import load

pytestmark = pytest.mark.integration

_QUICKLY_S = 3.0
Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Node:
    """A broker with a listener of each kind, and the files that belong to it."""

    plain: str
    tls: str
    user: str
    user_tls: str
    mutual: str
    files: Path

    def settings(self, address: str, protocol: str, **given: Any) -> KafkaSettings:
        return load(KafkaSettings, **{"bootstrap_servers": address, "security_protocol": protocol, **given})

    def with_user(self, address: str, protocol: str, password: str, **given: Any) -> KafkaSettings:
        return self.settings(address, protocol, sasl_username="alice", sasl_password=password, **given)


def certificate(name: str, key: Key, issuer: str, signer: Key, *, authority: bool) -> bytes:
    """Return a certificate in PEM form, valid for loopback."""
    now = datetime.now(UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(host, critical=False)
        .sign(signer, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def private(key: Key, password: bytes | None = None) -> bytes:
    secret = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)


def write_files(folder: Path) -> None:
    authority, broker, client = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    (folder / "ca.pem").write_bytes(certificate("ca", authority, "ca", authority, authority=True))
    (folder / "other-ca.pem").write_bytes(certificate("other", broker, "other", broker, authority=True))
    broker_certificate = certificate("broker", broker, "ca", authority, authority=False)
    (folder / "broker.pem").write_bytes(private(broker) + broker_certificate)
    (folder / "client.pem").write_bytes(certificate("client", client, "ca", authority, authority=False))
    (folder / "client.key").write_bytes(private(client))
    (folder / "locked.key").write_bytes(private(client, b"open sesame"))
    (folder / "foreign.key").write_bytes(private(broker))


def listeners(first: int, files: Path) -> str:
    kinds = {"TLS": "SSL", "USER": "SASL_PLAINTEXT", "USERTLS": "SASL_SSL", "MUTUAL": "SSL"}
    ports = {"PLAINTEXT": first, **{name: first + n for n, name in enumerate(kinds, 1)}}
    lines = {
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
        + ",".join(f"{name}:{protocol}" for name, protocol in kinds.items()),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items()),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": files / "broker.pem",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": files / "ca.pem",
        "listener.name.mutual.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
    }
    for name in ("user", "usertls"):
        lines[f"listener.name.{name}.plain.sasl.jaas.config"] = (
            'org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="right";'
        )
        lines[f"listener.name.{name}.scram-sha-256.sasl.jaas.config"] = (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        )
    return "".join(f"{name}={value}\n" for name, value in lines.items())


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    files = tmp_path_factory.mktemp("files")
    write_files(files)
    first = free_port(5)
    usual = broker_config.server_properties

    def properties(log: Path, own: broker_config.Node, nodes: Sequence[broker_config.Node]) -> str:
        port = own.port
        text = usual(log, own, nodes).replace(
            f"listeners=PLAINTEXT://127.0.0.1:{port},",
            f"listeners=PLAINTEXT://127.0.0.1:{port},TLS://127.0.0.1:{port + 1},USER://127.0.0.1:{port + 2},"
            f"USERTLS://127.0.0.1:{port + 3},MUTUAL://127.0.0.1:{port + 4},",
            1,
        )
        return text + listeners(port, files)  # the last of two lines counts

    broker = EmbeddedBroker(tmp_path_factory.mktemp("secured"), first)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "server_properties", properties)
        broker.start()
    try:
        plain, tls, user, user_tls, mutual = (f"127.0.0.1:{first + n}" for n in range(5))
        yield Node(plain, tls, user, user_tls, mutual, files)
    finally:
        broker.stop()


async def why(kafka: KafkaSettings, kind: type[Exception] = ConfigurationError) -> str:
    """Return what is said, once it is sure that it was said quickly."""
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        await wait_for_broker(kafka, within_s=_QUICKLY_S if kind is ConfigurationError else 0)
    assert time.monotonic() - began < _QUICKLY_S
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


async def test_what_is_right_connects(node: Node) -> None:
    ca = node.files / "ca.pem"
    await wait_for_broker(node.settings(node.plain, "PLAINTEXT"), 1)
    await wait_for_broker(node.settings(node.tls, "SSL", ssl_cafile=ca), 1)
    await wait_for_broker(node.with_user(node.user, "SASL_PLAINTEXT", "right"), 1)
    await wait_for_broker(node.with_user(node.user_tls, "SASL_SSL", "right", ssl_cafile=ca), 1)
    certificates = {"ssl_certfile": node.files / "client.pem", "ssl_keyfile": node.files / "locked.key"}
    await wait_for_broker(
        node.settings(node.mutual, "SSL", ssl_cafile=ca, ssl_key_password="open sesame", **certificates), 1
    )


async def test_a_wrong_password_is_one(node: Node) -> None:
    ca = node.files / "ca.pem"

    plain = await why(node.with_user(node.user, "SASL_PLAINTEXT", "wrong"))
    scram = await why(node.with_user(node.user_tls, "SASL_SSL", "wrong", ssl_cafile=ca, sasl_mechanism="SCRAM-SHA-256"))
    unknown = await why(node.with_user(node.user, "SASL_PLAINTEXT", "x", sasl_mechanism="SCRAM-SHA-512"))

    assert "refuses the user or the password (PLAIN)" in plain and "KAFKA_SASL_PASSWORD" in plain
    assert "refuses the user or the password (SCRAM-SHA-256)" in scram
    assert "does not take SCRAM-SHA-512" in unknown
    assert "wrong" not in plain + scram


async def test_a_certificate_that_is_not_trusted_names_the_setting(node: Node) -> None:
    without = await why(node.settings(node.tls, "SSL"))
    wrong = await why(node.settings(node.tls, "SSL", ssl_cafile=node.files / "other-ca.pem"))

    assert "set KAFKA_SSL_CAFILE" in without
    assert "is not accepted with KAFKA_SSL_CAFILE" in wrong


async def test_a_certificate_for_another_name_is_told_apart(node: Node) -> None:
    address = node.tls.replace("127.0.0.1", "localhost")

    assert "is for another name" in await why(node.settings(address, "SSL", ssl_cafile=node.files / "ca.pem"))


async def test_a_missing_client_certificate_is_asked_for(node: Node) -> None:
    assert "client certificate" in await why(node.settings(node.mutual, "SSL", ssl_cafile=node.files / "ca.pem"))


async def test_a_process_that_runs_connects_with_the_certificate_that_takes_the_place_of_one_that_is_refused(
    node: Node, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    certificate.write_bytes((node.files / "other-ca.pem").read_bytes())
    key.write_bytes((node.files / "foreign.key").read_bytes())
    kafka = node.settings(
        node.mutual, "SSL", ssl_cafile=node.files / "ca.pem", ssl_certfile=certificate, ssl_keyfile=key
    )
    assert "client certificate" in await why(kafka)

    certificate.write_bytes((node.files / "client.pem").read_bytes())
    key.write_bytes((node.files / "client.key").read_bytes())

    await wait_for_broker(kafka, 1)


async def test_tls_against_plaintext_and_the_other_way_round(node: Node) -> None:
    to_plain = await why(node.settings(node.plain, "SSL", ssl_cafile=node.files / "ca.pem"))
    to_tls = await why(node.settings(node.tls, "PLAINTEXT"))
    user_to_tls = await why(node.with_user(node.user_tls, "SASL_PLAINTEXT", "right"))

    assert f"{node.plain} does not speak TLS" in to_plain
    assert f"{node.tls} speaks TLS, but KAFKA_SECURITY_PROTOCOL is PLAINTEXT: set SSL" in to_tls
    assert "set SASL_SSL" in user_to_tls


async def test_a_listener_that_wants_a_user_says_so(node: Node) -> None:
    assert "it may want a user" in await why(node.settings(node.user, "PLAINTEXT"), Fatal)


async def test_addresses_that_are_wrong_are_told_apart(node: Node) -> None:
    closed = await why(node.settings(f"127.0.0.1:{free_port()}", "PLAINTEXT"), Fatal)
    nowhere = await why(node.settings("broker.invalid:9092", "PLAINTEXT"), Fatal)

    assert "nothing listens at 127.0.0.1:" in closed
    assert "the name broker.invalid cannot be resolved" in nowhere


async def test_a_part_of_the_list_that_does_not_answer_is_named(node: Node) -> None:
    away = f"127.0.0.1:{free_port()}"
    found = await find_cause(node.settings(f"{away},{node.plain}", "PLAINTEXT"))

    told = f"1 of 2 brokers of the list answer: nothing listens at {away}: start the broker, or correct the port"
    assert found == Cause(told, lasting=False)


async def test_silence_is_a_timeout(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.shared.kafka.cause._WITHIN_S", 0.3)
    monkeypatch.setattr("services.shared.kafka.clients._ANSWER_WITHIN_MS", 300)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()

        said = await why(node.settings(f"127.0.0.1:{deaf.getsockname()[1]}", "PLAINTEXT"), Fatal)

    assert "did not answer within" in said


@pytest.mark.parametrize(
    ("key", "password", "said"),
    [
        ("locked.key", None, "the key is encrypted: set KAFKA_SSL_KEY_PASSWORD"),
        ("locked.key", "wrong", "KAFKA_SSL_KEY_PASSWORD: the key cannot be decrypted"),
        ("foreign.key", None, "the key does not belong to KAFKA_SSL_CERTFILE"),
        ("ca.pem", None, "not in PEM form, or damaged"),
    ],
)
def test_a_key_that_cannot_be_used_is_a_wrong_setting_and_asks_nobody(
    tmp_path: Path, key: str, password: str | None, said: str
) -> None:
    write_files(tmp_path)
    files = {"ssl_certfile": tmp_path / "client.pem", "ssl_keyfile": tmp_path / key, "ssl_key_password": password}

    with pytest.raises(ConfigurationError, match=said):
        load(KafkaSettings, security_protocol="SSL", **files)


def test_an_authority_that_is_none_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")

    with pytest.raises(ConfigurationError, match="KAFKA_SSL_CAFILE"):
        load(KafkaSettings, security_protocol="SSL", ssl_cafile=tmp_path / "ca.pem")


async def test_a_listener_that_takes_no_user_names_what_to_set(node: Node) -> None:
    told = await why(node.with_user(node.plain, "SASL_PLAINTEXT", "right"))

    assert f"{node.plain} has no SASL on this listener" in told
    assert "use the port of its SASL listener, or set PLAINTEXT" in told
