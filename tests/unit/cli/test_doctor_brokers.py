"""What `tidemark doctor` says where brokers hang or do not answer."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import CorruptRecordException, KafkaError, NodeNotReadyError

from services.cli.examining import clocks, cluster
from services.cli.examining.findings import told
from services.cli.kafka_errors import to_do
from services.cli.local.stack_state import Running
from services.shared.kafka import cause, replication, topics
from services.shared.kafka.settings import KafkaSettings


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cluster that answers whoever reaches it; the questions that it was asked."""
    names: list[str] = []

    async def reached(_: KafkaSettings) -> None:
        names.append("reach")

    def well(_: object) -> str:
        return "all is well"

    monkeypatch.setattr(cluster, "reach", reached)
    for name in ("log_time", "_attribution", "held"):
        monkeypatch.setattr(cluster, name, well)
    monkeypatch.setattr(clocks, "ingests", well)
    answers = {
        (topics, "check"): [], (topics, "made_by_brokers"): False, (topics, "any_exists"): True,
        (replication, "check"): [], (replication, "summary"): "as many as the records say",
        (replication, "of_brokers"): [], (replication, "lacking"): None, (cause, "find_cause"): None,
    }  # fmt: skip
    for (module, name), answer in answers.items():

        async def ask(_: object, name: str = name, answer: object = answer) -> object:
            names.append(name)
            return answer

        monkeypatch.setattr(module, name, ask)
    return names


def test_a_broker_of_the_cluster_that_hangs_is_not_asked_again_and_again(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next question goes to another broker, most often."""
    tries = 0

    async def hangs_once(_: object) -> list[str]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise NodeNotReadyError("node id 2")
        return []

    monkeypatch.setattr(topics, "check", hangs_once)
    found = {
        each.what: each.good for each in cluster.look(Running(KafkaSettings(), None, None, None, None, None), None)
    }

    assert (tries, set(found.values())) == (2, {True})
    assert {"topics", "copies", "log time"} <= found.keys()


def test_one_copy_of_each_record_and_topics_that_brokers_create_are_said(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def creating(_: object) -> bool:
        return True

    async def one_copy(_: object) -> str:
        return str(replication.below_the_record(KafkaSettings(), 1))

    monkeypatch.setattr(topics, "made_by_brokers", creating)
    monkeypatch.setattr(replication, "summary", one_copy)
    found = {each.what: each for each in cluster.look(Running(KafkaSettings(), None, None, None, None, None), None)}

    assert found["topics"].good and "set auto.create.topics.enable=false" in found["topics"].detail
    assert found["copies"].good and "the loss of one disk loses data" in found["copies"].detail


def test_topics_of_the_brokers_themselves_with_too_few_copies_are_a_finding(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def one_copy(_: object) -> list[str]:
        return ["topic __transaction_state of the brokers keeps 1 of 3 wanted copies"]

    monkeypatch.setattr(replication, "of_brokers", one_copy)
    found = {each.what: each for each in cluster.look(Running(KafkaSettings(), None, None, None, None, None), None)}

    assert not found["copies"].good and "__transaction_state" in found["copies"].detail


@pytest.mark.parametrize("fault", ["an error", "no answer"])
def test_brokers_that_do_not_answer_are_a_finding_within_a_bound(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    async def hangs(_: object) -> list[str]:
        if fault == "an error":
            raise NodeNotReadyError("node id 2")
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(topics, "check", hangs)
    monkeypatch.setattr(cluster, "_ANSWER_WITHIN_S", 0.01)
    found = list(cluster.look(Running(KafkaSettings(), None, None, None, None, None), None))

    assert [(each.what, each.good) for each in found] == [("kafka", True), ("brokers", False)]
    assert "3 times a broker did not answer" in found[-1].detail


def test_brokers_that_are_away_and_copies_that_lack_are_findings(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def one_away(_: object) -> cause.Cause:
        return cause.Cause("2 of 3 brokers of the list answer: nothing listens at c:9092", lasting=False)

    async def short(_: object) -> str:
        return "9 of 9 partitions lack a copy, on broker 3"

    monkeypatch.setattr(cause, "find_cause", one_away)
    monkeypatch.setattr(replication, "lacking", short)
    found = {each.what: each for each in cluster.look(Running(KafkaSettings(), None, None, None, None, None), None)}

    assert not found["kafka"].good and "nothing listens at c:9092" in found["kafka"].detail
    assert not found["in sync"].good and "on broker 3" in found["in sync"].detail
    assert found["log time"].good


def test_a_log_that_does_not_tell_is_a_finding_within_a_bound_and_is_not_asked_again(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(cluster, "log_time", lambda _: told(never(), 0.01))
    found = list(cluster.look(Running(KafkaSettings(), None, None, None, None, None), None))

    assert [each.what for each in found if not each.good] == ["brokers"]
    assert found[-1].detail.startswith("the log could not be read within 0 s")
    assert "below of scorer and alerter" in found[-1].detail  # kafka and all copies may be well


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (CorruptRecordException("CRC - usage-events/0"), "let another replica lead"),
        (NodeNotReadyError("node id 2"), "run this again"),
    ],
)
def test_a_damaged_copy_is_not_to_be_asked_again_until_another_replica_leads(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, error: KafkaError, helps: str
) -> None:
    def cannot_be_read(_: object) -> str:
        raise error

    monkeypatch.setattr(clocks, "ingests", cannot_be_read)
    found = {each.what: each for each in cluster.look(Running(KafkaSettings(), None, None, None, None, None), None)}

    assert not found["ingest clocks"].good
    assert found["ingest clocks"].detail == f"Kafka does not tell: {error}; {to_do(error, 'run this again')}"
    assert helps in found["ingest clocks"].detail
