"""Which variables are told to change nothing, and which are nobody's mistake."""

from __future__ import annotations

from services.shared.process.unknown_settings import unknown_settings


def test_what_kubernetes_tells_of_its_services_is_no_misspelt_setting() -> None:
    told = {
        "TIDEMARK_INGEST_SERVICE_HOST": "10.0.0.7",
        "TIDEMARK_INGEST_SERVICE_PORT": "8080",
        "TIDEMARK_INGEST_SERVICE_PORT_HTTP": "8080",
        "TIDEMARK_INGEST_PORT": "tcp://10.0.0.7:8080",
        "TIDEMARK_INGEST_PORT_8080_TCP_ADDR": "10.0.0.7",
        "KAFKA_BOOTSTRAP_SERVICE_HOST": "10.0.0.8",
    }

    assert list(unknown_settings(told)) == []
    assert list(unknown_settings({"TIDEMARK_INGEST_PORT": "8080"})) == [("TIDEMARK_INGEST_PORT", "TIDEMARK_INGEST_URL")]


def test_names_of_other_programs_are_told_only_where_they_are_nearly_a_setting() -> None:
    found = unknown_settings({"KAFKA_HOME": "/opt", "CLICKHOUSE_USER": "a", "CLICKHOUSE_URLS": "b", "PATH": "/bin"})

    assert list(found) == [("CLICKHOUSE_URLS", "CLICKHOUSE_URL")]
