"""Where the Kafka cluster is, how to talk to it, and the names and sizes that Tidemark uses on it."""

from __future__ import annotations

import re
import ssl
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.shared.kafka.tls import Files, RenewedContext
from services.shared.settings import Settings

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class KafkaSettings(Settings):
    """
    The connection to one cluster.

    Names of topics, groups and transactional ids start with `topic_prefix`, so that several Tidemarks, and
    the tests, can share a cluster without meeting.
    """

    bootstrap_servers: str = Field("127.0.0.1:9092", validation_alias="KAFKA_BOOTSTRAP_SERVERS")
    """host:port, several separated by commas. Name at least two brokers: clients return to this list."""
    security_protocol: SecurityProtocol = Field("PLAINTEXT", validation_alias="KAFKA_SECURITY_PROTOCOL")
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    sasl_mechanism: SaslMechanism = Field("PLAIN", validation_alias="KAFKA_SASL_MECHANISM")
    """PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""
    sasl_username: str | None = Field(None, validation_alias="KAFKA_SASL_USERNAME")
    """Required with SASL, as is the password."""
    sasl_password: SecretStr | None = Field(None, validation_alias="KAFKA_SASL_PASSWORD")
    """Never logged."""
    ssl_cafile: Path | None = Field(None, validation_alias="KAFKA_SSL_CAFILE")
    """PEM file of the authority that signed the brokers' certificates; by default those of this machine. This file and the two below are read again for the next connection once they are replaced."""
    ssl_certfile: Path | None = Field(None, validation_alias="KAFKA_SSL_CERTFILE")
    """PEM file of the client certificate, if the brokers require one."""
    ssl_keyfile: Path | None = Field(None, validation_alias="KAFKA_SSL_KEYFILE")
    """PEM file of its key."""
    ssl_key_password: SecretStr | None = Field(None, validation_alias="KAFKA_SSL_KEY_PASSWORD")
    """Password of an encrypted key."""
    topic_prefix: str = Field("", max_length=100, validation_alias="TIDEMARK_TOPIC_PREFIX")
    """Prefix of the names of all topics, groups and transactional ids."""
    partitions: int = Field(24, ge=1, le=1024, validation_alias="TIDEMARK_PARTITIONS")
    """Partitions of every topic whose record says `shared`. A number other than the cluster's is refused at start."""
    replication: int | None = Field(None, ge=1, le=9, validation_alias="TIDEMARK_REPLICATION")
    """Replication of topics that are created; by default what their records say, or fewer if there are fewer brokers."""

    @field_validator("bootstrap_servers")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for address in value.split(","):
            host, _, port = address.strip().rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError("give host:port, several separated by commas")
        return value

    @field_validator("topic_prefix")
    @classmethod
    def _legal_in_a_topic_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9._-]*", value):
            raise ValueError("use only letters, digits, '.', '_' and '-', as Kafka allows in topic names")
        return value

    @field_validator("ssl_cafile", "ssl_certfile", "ssl_keyfile")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and self.sasl_password):
            raise ValueError(
                "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD: both are needed when"
                f" KAFKA_SECURITY_PROTOCOL is {self.security_protocol}"
            )
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError("KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE: set both or neither")
        if self.security_protocol.endswith("SSL"):
            self.tls()
        return self

    def tls(self) -> ssl.SSLContext:
        """
        Return what TLS connections are made with; it follows files that are replaced.

        Raises:
            ValueError: a file cannot be used; the text names its variable.
        """
        return self._tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        password = self.ssl_key_password.get_secret_value() if self.ssl_key_password else None
        return RenewedContext(Files(self.ssl_cafile, self.ssl_certfile, self.ssl_keyfile, password))

    def scoped(self, name: str) -> str:
        """Return a topic, group or transactional id name as it is on the cluster."""
        return self.topic_prefix + name

    def client_options(self) -> dict[str, Any]:
        """Return the connection arguments that every aiokafka client takes."""
        options: dict[str, Any] = {
            "bootstrap_servers": [a.strip() for a in self.bootstrap_servers.split(",")],
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password.get_secret_value() if self.sasl_password else None
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self.tls()
        return options
