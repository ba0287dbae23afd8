"""The connection to the cluster is checked before anything connects."""

from __future__ import annotations

import pytest

from services.shared.errors import ConfigurationError
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
