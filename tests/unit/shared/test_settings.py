"""Configuration errors are found together and say what they are about."""

from __future__ import annotations

import json
import logging

import pytest

from services.console.settings import ConsoleSettings
from services.ingest.settings import IngestSettings
from services.shared.engine.settings import EngineSettings
from services.shared.errors import Poison, Rejected
from services.shared.kafka.settings import KafkaSettings
from services.shared.logging import JsonLines, LogSettings, TextLines
from services.shared.settings import ProcessSettings, Settings, load, load_all


def test_problems_of_several_kinds_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to start a service five times to find five errors."""
    monkeypatch.setenv("TIDEMARK_HTTP_PORT", "99999")
    monkeypatch.setenv("TIDEMARK_REPLICATION", "0")
    monkeypatch.setenv("TIDEMARK_LOG_LEVEL", "LOUD")

    monkeypatch.setenv("TIDEMARK_PARTITIONS", "7")

    loaded, problems = load_all(KafkaSettings, ProcessSettings, LogSettings)

    assert [each.split(":")[0] for each in problems] == [
        "TIDEMARK_REPLICATION",
        "TIDEMARK_HTTP_PORT",
        "TIDEMARK_LOG_LEVEL",
    ]
    kafka, process, log = loaded
    assert isinstance(kafka, KafkaSettings) and (kafka.partitions, kafka.replication) == (7, None), "the rest is as set"
    assert (
        isinstance(process, ProcessSettings) and process.http_port == ProcessSettings.model_fields["http_port"].default
    )
    assert isinstance(log, LogSettings)


@pytest.mark.parametrize(
    ("kind", "variable", "value", "advice"),
    [
        (KafkaSettings, "TIDEMARK_PARTITIONS", "many", "give a whole number"),
        (KafkaSettings, "TIDEMARK_PARTITIONS", "0", "give 1 or more"),
        (ProcessSettings, "TIDEMARK_HTTP_PORT", "99999", "give 65535 or less"),
        (ProcessSettings, "TIDEMARK_LIVENESS_S", "long", "give a number"),
        (ConsoleSettings, "TIDEMARK_CONSOLE_CURRENCY", "euro", "give text of the form ^[A-Z]{3}$"),
        (LogSettings, "TIDEMARK_LOG_FORMAT", "xml", "give 'text' or 'json'"),
    ],
)
def test_a_wrong_value_is_answered_with_what_to_give(
    kind: type[Settings], variable: str, value: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    assert load_all(kind)[1] == [f"{variable}: {advice}"]


CONTRADICTIONS = [
    (
        EngineSettings,
        {"TIDEMARK_ENGINE_HEARTBEAT_S": "4", "TIDEMARK_ENGINE_SESSION_TIMEOUT_S": "11.9"},
        {"TIDEMARK_ENGINE_SESSION_TIMEOUT_S": "12"},
    ),
    (
        EngineSettings,
        {"TIDEMARK_ENGINE_TRANSACTION_MS": "1001", "TIDEMARK_ENGINE_TRANSACTION_TIMEOUT_S": "2"},
        {"TIDEMARK_ENGINE_TRANSACTION_MS": "1000"},
    ),
    (
        IngestSettings,
        {"TIDEMARK_INGEST_MAX_IN_FLIGHT_BYTES": "9437183", "TIDEMARK_INGEST_MAX_BODY_BYTES": "4194304"},
        {"TIDEMARK_INGEST_MAX_IN_FLIGHT_BYTES": "9437184"},
    ),
    (
        IngestSettings,
        {"TIDEMARK_INGEST_MAX_IN_FLIGHT_BYTES": "4194303", "TIDEMARK_INGEST_MAX_BODY_BYTES": "1048576"},
        {"TIDEMARK_INGEST_MAX_IN_FLIGHT_BYTES": "4194304"},
    ),
    (
        IngestSettings,
        {"TIDEMARK_INGEST_STALL_AFTER_S": "8", "TIDEMARK_INGEST_ACK_TIMEOUT_S": "8"},
        {"TIDEMARK_INGEST_STALL_AFTER_S": "7.9"},
    ),
]


@pytest.mark.parametrize(
    ("kind", "wrong", "mended"),
    CONTRADICTIONS,
    ids=["heartbeats", "transactions", "bodies", "bodies without a key", "stalls"],
)
def test_settings_that_contradict_each_other_are_named_together(
    kind: type[Settings], wrong: dict[str, str], mended: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in wrong.items():
        monkeypatch.setenv(variable, value)

    _, (problem,) = load_all(kind)
    for variable, value in mended.items():
        monkeypatch.setenv(variable, value)
    _, none = load_all(kind)

    assert all(variable in problem for variable in wrong)
    assert none == []


@pytest.mark.parametrize("kind", [EngineSettings, ProcessSettings])
def test_every_number_has_a_greatest_one(kind: type[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    """Times without end and counts that no type of Kafka's holds would end the process long after its start, without a name."""
    numbers = [str(field.validation_alias) for field in kind.model_fields.values() if field.annotation in (int, float)]
    for variable in numbers:
        monkeypatch.setenv(variable, str(10**20))

    _, problems = load_all(kind)

    assert sorted(problem.split(":")[0] for problem in problems) == sorted(numbers)


def test_contradictions_come_with_what_is_wrong_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in {**CONTRADICTIONS[0][1], **CONTRADICTIONS[1][1], "TIDEMARK_ENGINE_OPENINGS": "0"}.items():
        monkeypatch.setenv(variable, value)

    _, problems = load_all(EngineSettings)

    starts = [
        "TIDEMARK_ENGINE_OPENINGS: ",
        "TIDEMARK_ENGINE_HEARTBEAT_S (4) ",
        "TIDEMARK_ENGINE_TRANSACTION_MS (1001) ",
    ]
    assert [start for start, each in zip(starts, problems, strict=True) if each.startswith(start)] == starts


def test_the_rest_is_as_set_where_what_has_no_usable_default_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMARK_PSEUDONYM_KEY", raising=False)
    monkeypatch.setenv("TIDEMARK_INGEST_WORKERS", "3")

    (ingest,), (problem,) = load_all(IngestSettings)

    assert problem.startswith("TIDEMARK_PSEUDONYM_KEY: ")
    assert isinstance(ingest, IngestSettings) and ingest.workers == 3


def test_all_that_contradicts_the_time_for_kafka_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_INGEST_ACK_TIMEOUT_S", "0.1")
    monkeypatch.setenv("TIDEMARK_INGEST_LINGER_MS", "100")
    monkeypatch.setenv("TIDEMARK_INGEST_MAX_IN_FLIGHT_BYTES", "4194304")

    _, problems = load_all(IngestSettings)

    pairs = [
        ("TIDEMARK_INGEST_MAX_IN_FLIGHT_BYTES", "TIDEMARK_INGEST_MAX_BODY_BYTES"),
        ("TIDEMARK_INGEST_STALL_AFTER_S", "TIDEMARK_INGEST_ACK_TIMEOUT_S"),
        ("TIDEMARK_INGEST_LINGER_MS", "TIDEMARK_INGEST_ACK_TIMEOUT_S"),
    ]
    assert [one in each and other in each for (one, other), each in zip(pairs, problems, strict=True)] == [True] * 3


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files and CI pass empty variables on."""
    monkeypatch.setenv("TIDEMARK_HTTP_PORT", "")

    assert load(ProcessSettings).http_port == 8080


def test_what_is_given_in_code_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the environment."""
    monkeypatch.setenv("TIDEMARK_HTTP_PORT", "9000")

    assert load(ProcessSettings, http_port=9001).http_port == 9001


def test_errors_carry_their_parts() -> None:
    """The edge builds answers and dead letters from them."""
    rejected = Rejected("missing_field", "batch[3].userId", "neither userId nor anonymousId")
    poison = Poison("bad_value", detail="not an account")

    assert (rejected.code, rejected.field) == ("missing_field", "batch[3].userId")
    assert str(rejected) == "missing_field: batch[3].userId: neither userId nor anonymousId"
    assert str(poison) == "bad_value: not an account"


def test_log_lines_carry_event_and_fields() -> None:
    """As text with quotes where they are needed, and as JSON."""
    record = logging.makeLogRecord({"msg": "batch_accepted", "levelname": "INFO", "events": 12, "why": "two words"})

    text = TextLines("ingest").format(record)
    line = JsonLines("ingest").format(record)

    assert text.endswith('INFO ingest batch_accepted events=12 why="two words"')
    assert '"event": "batch_accepted", "events": 12' in line


@pytest.mark.parametrize("made_up", ["\x9b2J", "\x1b[2J", "a\rb", "a\x85b", "a\u2028b", "\u202eba"])
def test_what_others_say_of_themselves_moves_no_terminal_and_begins_no_line_of_a_log(made_up: str) -> None:
    record = logging.makeLogRecord({"msg": "request_refused", "levelname": "WARNING", "user_agent": made_up})

    text = TextLines("ingest").format(record)

    assert text.isprintable()
    assert text.endswith(f"request_refused user_agent={json.dumps(made_up)}")
