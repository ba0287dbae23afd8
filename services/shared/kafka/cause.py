"""
Why no broker can be reached: each address is tried by itself, and what went wrong is told apart.

The client library says "unable to bootstrap" for a closed port as for a wrong password. What only a person can mend is
`lasting`: nobody waits for that.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from dataclasses import dataclass

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from services.shared.kafka.settings import KafkaSettings

_WITHIN_S = 4.0


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the cluster could not be reached."""

    text: str
    lasting: bool
    """It stays until somebody changes a setting."""


async def find_cause(kafka: KafkaSettings) -> Cause | None:
    """
    Try every listed address, then what the brokers say of themselves; return None where all is well.

    That some of the brokers do not answer is a cause: what these lead cannot be read or written, and where they are the
    most of three nobody else is elected.
    """
    addresses = [address.strip().rpartition(":")[::2] for address in kafka.bootstrap_servers.split(",")]
    tried = await asyncio.gather(*(_try(kafka, host.strip("[]"), int(port)) for host, port in addresses))
    causes = [found for found in tried if isinstance(found, Cause)]
    advertised = [found for found in tried if not isinstance(found, Cause)]
    text = "; ".join(dict.fromkeys(cause.text for cause in causes))
    if not advertised:
        return Cause(text, lasting=all(cause.lasting for cause in causes))
    listed = {(host.strip("[]"), int(port)) for host, port in addresses}
    for host, port in sorted({address for found in advertised for address in found} - listed):
        found = await _try(kafka, host, port)
        if isinstance(found, Cause):
            told = f"the list answers, but a broker calls itself {host}:{port}, and {found.text}"
            return Cause(f"{told} (advertised.listeners of the broker says how clients reach it)", lasting=False)
    if causes:
        return Cause(f"{len(advertised)} of {len(addresses)} brokers of the list answer: {text}", lasting=False)
    return None


async def _try(kafka: KafkaSettings, host: str, port: int) -> Cause | list[tuple[str, int]]:
    """Return the addresses of all brokers as this one tells them, or why it does not."""
    where = f"{host}:{port}"
    options = {name: value for name, value in kafka.client_options().items() if name != "bootstrap_servers"}
    connection: AIOKafkaConnection | None = None
    try:
        async with asyncio.timeout(_WITHIN_S):
            connection = await create_conn(host, port, request_timeout_ms=int(_WITHIN_S * 1000), **options)
            answer = await connection.send(MetadataRequest([]))
            return [(broker[1], broker[2]) for broker in answer.brokers]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the cause
        return await _in_words(kafka, host, port, error) or Cause(f"{where}: {error!r}", lasting=False)
    finally:
        if connection is not None:
            connection.close()


async def _in_words(kafka: KafkaSettings, host: str, port: int, error: Exception) -> Cause | None:
    where = f"{host}:{port}"
    match error:
        case socket.gaierror():
            return Cause(f"the name {host} cannot be resolved: correct it, or see to the DNS", lasting=False)
        case ConnectionRefusedError():
            return Cause(f"nothing listens at {where}: start the broker, or correct the port", lasting=False)
        case ssl.SSLError():
            return _tls(kafka, where, error)
        case SaslAuthenticationFailed() | AuthenticationFailedError():
            return Cause(
                f"{where} refuses the user or the password ({kafka.sasl_mechanism}): correct KAFKA_SASL_USERNAME and"
                " KAFKA_SASL_PASSWORD, or make the user on the cluster",
                lasting=True,
            )
        case UnsupportedSaslMechanismError():
            return Cause(
                f"{where} does not take {kafka.sasl_mechanism}: set KAFKA_SASL_MECHANISM to one that it takes"
                " (sasl.enabled.mechanisms of the broker)",
                lasting=True,
            )
        case IllegalSaslStateError():
            return Cause(
                f"{where} has no SASL on this listener, but KAFKA_SECURITY_PROTOCOL is {kafka.security_protocol}: use the port"
                f" of its SASL listener, or set {kafka.security_protocol.removeprefix('SASL_')}",
                lasting=True,
            )
        case TimeoutError():
            return await _silent(kafka, host, port)
        case KafkaError() | ConnectionError() | asyncio.IncompleteReadError():
            return await _closed(kafka, host, port)
        case OSError():
            return Cause(f"{where} cannot be reached: {error.strerror or error}", lasting=False)
    return None


def _tls(kafka: KafkaSettings, where: str, error: ssl.SSLError) -> Cause:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Cause(_certificate(kafka, where, error), lasting=True)
    if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER_FAILURE" in str(error):
        return _no_tls(kafka, where)
    if "CERTIFICATE_REQUIRED" in str(error) or "HANDSHAKE_FAILURE" in str(error):
        return _client_certificate(where)
    return Cause(f"TLS with {where} fails: {error.reason or error}", lasting=False)


def _certificate(kafka: KafkaSettings, where: str, error: Exception) -> str:
    reason = getattr(error, "verify_message", "") or str(error)
    if "ostname mismatch" in reason or "IP address mismatch" in reason:
        return f"the certificate of {where} is for another name ({reason}): use a name that it has"
    if kafka.ssl_cafile is None:
        return (
            f"the certificate of {where} is not signed by an authority of this machine ({reason}): set"
            " KAFKA_SSL_CAFILE to the certificate of its authority"
        )
    return f"the certificate of {where} is not accepted with KAFKA_SSL_CAFILE {kafka.ssl_cafile} ({reason})"


def _client_certificate(where: str) -> Cause:
    return Cause(
        f"{where} wants a client certificate that it knows: set KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE", lasting=True
    )


async def _silent(kafka: KafkaSettings, host: str, port: int) -> Cause:
    """Tell an address behind which nobody answers from one that waits for the beginning of TLS."""
    where = f"{host}:{port}"
    if not kafka.security_protocol.endswith("SSL") and await _speaks_tls(host, port):
        return _expects_tls(kafka, where)
    return Cause(
        f"{where} did not answer within {_WITHIN_S:.0f} s: a firewall, a wrong address, or a broker that hangs",
        lasting=False,
    )


async def _closed(kafka: KafkaSettings, host: str, port: int) -> Cause:
    """Tell why a connection that was accepted was closed again."""
    where = f"{host}:{port}"
    if kafka.security_protocol.endswith("SSL"):
        if await _speaks_plainly(host, port):
            return _no_tls(kafka, where)
        alert = await _alert(kafka, host, port)
        if "CERTIFICATE" in alert or "UNKNOWN_CA" in alert:
            return _client_certificate(where)
        return Cause(f"{where} closes the connection after TLS {alert}".rstrip(), lasting=False)
    if await _speaks_tls(host, port):
        return _expects_tls(kafka, where)
    if kafka.security_protocol == "PLAINTEXT":
        text = (
            f"{where} closes the connection: it may want a user (KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT), or be no port for"
            " clients of Kafka"
        )
        return Cause(text, lasting=False)
    return Cause(f"{where} closes the connection", lasting=False)


def _no_tls(kafka: KafkaSettings, where: str) -> Cause:
    plain = {"SSL": "PLAINTEXT", "SASL_SSL": "SASL_PLAINTEXT"}.get(kafka.security_protocol, "")
    text = f"{where} does not speak TLS, but KAFKA_SECURITY_PROTOCOL is {kafka.security_protocol}: use the port of its"
    return Cause(f"{text} TLS listener, or set {plain}", lasting=True)


def _expects_tls(kafka: KafkaSettings, where: str) -> Cause:
    wanted = "SASL_SSL" if kafka.security_protocol.startswith("SASL") else "SSL (or SASL_SSL, where it wants a user)"
    text = f"{where} speaks TLS, but KAFKA_SECURITY_PROTOCOL is {kafka.security_protocol}: set {wanted}"
    return Cause(text, lasting=True)


async def _alert(kafka: KafkaSettings, host: str, port: int) -> str:
    """Return what a server says that ends TLS after the handshake, as one does that misses a certificate."""
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(host, port, ssl=kafka.tls())
            try:
                await reader.read(1)
            finally:
                writer.close()
    except ssl.SSLError as error:
        return str(error.reason)
    except (OSError, TimeoutError):
        pass
    return ""


async def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is asked for its language, and told nothing
    try:
        async with asyncio.timeout(_WITHIN_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _speaks_plainly(host: str, port: int) -> bool:
    """Return whether a question about versions is answered without TLS: every listener without it does so."""
    question = struct.pack(">hhih", 18, 0, 1, 0)
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(struct.pack(">i", len(question)) + question)
                return (await reader.readexactly(8))[4:] == question[4:8]
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
