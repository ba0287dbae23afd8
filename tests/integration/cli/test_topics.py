"""`tidemark topics` on a real cluster."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from services.shared import exit_status
from services.shared.kafka import topics
from services.shared.kafka.settings import KafkaSettings
from tests.conftest import Kafka
from tests.support.commands import Ran, run_tool
from tests.support.topic_settings import alter

pytestmark = pytest.mark.integration


@pytest.fixture
async def environment(kafka: Kafka) -> AsyncIterator[dict[str, str]]:
    """The variables of a deployment without topics."""
    prefix = f"t{uuid.uuid4().hex[:12]}-"
    yield {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "TIDEMARK_TOPIC_PREFIX": prefix,
        "TIDEMARK_PARTITIONS": "2",
    }
    await topics.delete(KafkaSettings(bootstrap_servers=kafka.bootstrap, topic_prefix=prefix))


async def tidemark(environment: dict[str, str], *arguments: str) -> Ran:
    """Run the tool."""
    return await asyncio.to_thread(run_tool, *arguments, **environment)  # it runs a loop of its own


async def test_check_names_what_create_then_makes(environment: dict[str, str]) -> None:
    """Missing, then made, then good, then nothing left to make."""
    missing = await tidemark(environment, "topics", "check")
    created = await tidemark(environment, "topics", "create")
    good = await tidemark(environment, "topics", "check")
    again = await tidemark(environment, "topics", "create")

    prefix = environment["TIDEMARK_TOPIC_PREFIX"]
    assert missing.returncode == exit_status.REFUSED
    assert f"topic {prefix}usage-events does not exist" in missing.stdout
    assert f"created {prefix}usage-events" in created.stdout
    assert (good.returncode, again.stdout.strip()) == (0, "all topics exist")


async def test_topics_are_there_once_they_were_made(environment: dict[str, str]) -> None:
    kafka = KafkaSettings(
        bootstrap_servers=environment["KAFKA_BOOTSTRAP_SERVERS"],
        topic_prefix=environment["TIDEMARK_TOPIC_PREFIX"],
        partitions=2,
    )

    before = await topics.any_exists(kafka)
    await topics.create(kafka)

    assert (before, await topics.any_exists(kafka)) == (False, True)


async def test_other_partitions_than_configured_are_a_failed_check(environment: dict[str, str]) -> None:
    """Before accounts are split between lanes."""
    await tidemark(environment, "topics", "create")

    done = await tidemark({**environment, "TIDEMARK_PARTITIONS": "3"}, "topics", "check")

    assert done.returncode == exit_status.REFUSED
    assert "TIDEMARK_PARTITIONS is 3, but the data of this installation was written under 2" in done.stdout


async def test_a_topic_that_gives_up_what_was_acknowledged_is_a_failed_check(environment: dict[str, str]) -> None:
    await tidemark(environment, "topics", "create")
    bootstrap, prefix = environment["KAFKA_BOOTSTRAP_SERVERS"], environment["TIDEMARK_TOPIC_PREFIX"]
    kafka = KafkaSettings(bootstrap_servers=bootstrap, topic_prefix=prefix)
    await alter(kafka, "risk-signals", {"unclean.leader.election.enable": "true"})

    done = await tidemark(environment, "topics", "check")

    assert done.returncode == exit_status.REFUSED
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        f"topic {kafka.scoped('risk-signals')} has unclean.leader.election.enable=true"
    ]


async def test_no_broker_is_told_with_what_to_set(environment: dict[str, str]) -> None:
    """And not as a traceback."""
    done = await tidemark({**environment, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "topics", "check")

    assert done.returncode == 1
    assert "Kafka does not answer at 127.0.0.1:1" in done.stderr
    assert "nothing listens at 127.0.0.1:1" in done.stderr
    assert "KAFKA_BOOTSTRAP_SERVERS" in done.stderr
    assert "Traceback" not in done.stderr
