"""Where the Kafka cluster is, how to talk to it, and the names and sizes that Tidemark uses on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

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
    security_protocol: SecurityProtocol = Field("PLAINTEXT", validation_alias="KAFKA_SECURITY_PROTOCOL")
    sasl_mechanism: SaslMechanism = Field("PLAIN", validation_alias="KAFKA_SASL_MECHANISM")
    sasl_username: str | None = Field(None, validation_alias="KAFKA_SASL_USERNAME")
    sasl_password: SecretStr | None = Field(None, validation_alias="KAFKA_SASL_PASSWORD")
    ssl_cafile: Path | None = Field(None, validation_alias="KAFKA_SSL_CAFILE")
    ssl_certfile: Path | None = Field(None, validation_alias="KAFKA_SSL_CERTFILE")
    ssl_keyfile: Path | None = Field(None, validation_alias="KAFKA_SSL_KEYFILE")
    topic_prefix: str = Field("", max_length=100, validation_alias="TIDEMARK_TOPIC_PREFIX")
    partitions: int = Field(24, ge=1, le=1024, validation_alias="TIDEMARK_PARTITIONS")
    """Of every topic whose record says `shared`. A number that differs from the cluster's is refused at start."""
    replication: int = Field(1, ge=1, le=9, validation_alias="TIDEMARK_REPLICATION")

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
        return self

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
            from aiokafka.helpers import create_ssl_context  # heavy, and only here

            options["ssl_context"] = create_ssl_context(
                cafile=_text(self.ssl_cafile), certfile=_text(self.ssl_certfile), keyfile=_text(self.ssl_keyfile)
            )
        return options


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
