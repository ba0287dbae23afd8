"""What `services.shared.kafka.bootstrap` takes from the inside of aiokafka: an upgrade that moves it fails here."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError
from pydantic import SecretStr

from services.shared.kafka import clients
from services.shared.kafka.settings import KafkaSettings


def test_metadata_is_fetched_by_one_method_that_takes_where_to_put_it() -> None:
    assert inspect.iscoroutinefunction(AIOKafkaClient._metadata_update)
    assert list(inspect.signature(AIOKafkaClient._metadata_update).parameters) == ["self", "cluster_metadata", "topics"]
    assert "self._metadata_update(self.cluster, topics)" in inspect.getsource(AIOKafkaClient._md_synchronizer)


def test_the_method_still_asks_none_but_the_brokers_it_knows() -> None:
    """When this fails, aiokafka has learned it: that half of `find_cluster` may go."""
    source = inspect.getsource(AIOKafkaClient._metadata_update)

    assert "self.cluster.brokers()" in source
    assert "self.hosts" not in source and "self.bootstrap()" not in source


def test_the_list_is_asked_at_the_start_by_one_method_that_leaves_metadata_and_a_task() -> None:
    source = inspect.getsource(AIOKafkaClient.bootstrap)

    assert inspect.iscoroutinefunction(AIOKafkaClient.bootstrap)
    assert list(inspect.signature(AIOKafkaClient.bootstrap).parameters) == ["self"]
    assert "in self.hosts:" in source
    assert "await bootstrap_conn.send(MetadataRequest([]))" in source
    assert "self.cluster.update_metadata(metadata)" in source
    assert "self._sync_task = create_task(self._md_synchronizer())" in source
    for start in (AIOKafkaProducer.start, AIOKafkaConsumer.start, AIOKafkaAdminClient.start):
        assert "lient.bootstrap()" in inspect.getsource(start)


def test_a_listed_broker_is_still_waited_for_alone_as_long_as_for_any_request() -> None:
    """When this fails, aiokafka may have learned it: that half of `find_cluster` may go."""
    source = inspect.getsource(AIOKafkaClient.bootstrap)

    assert "request_timeout_ms=self._request_timeout_ms" in source
    assert "create_task(create_conn" not in source


def test_a_connection_is_made_with_what_a_client_is_made_with() -> None:
    client, connection = (inspect.signature(each).parameters for each in (AIOKafkaClient, create_conn))

    secure = KafkaSettings(
        security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="u", sasl_password=SecretStr("p")
    )
    assert secure.client_options().keys() - {"bootstrap_servers"} <= client.keys() & connection.keys()
    assert {"client_id", "request_timeout_ms"} <= connection.keys()


async def test_the_list_is_asked_when_no_known_broker_answers() -> None:
    """Of every kind of client the inner one is replaced, not another one."""
    kafka = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    inner: list[AIOKafkaClient] = [clients.producer(kafka).client, clients.consumer(kafka)._client]

    for client in inner:
        assert isinstance(client, AIOKafkaClient)
        assert client._metadata_update.__module__ == "services.shared.kafka.bootstrap"
        assert not await client._metadata_update(ClusterMetadata(), None)
        assert client.bootstrap.__module__ == "services.shared.kafka.bootstrap"
        with pytest.raises(KafkaConnectionError, match="127.0.0.1"):
            await client.bootstrap()


def test_no_client_is_made_anywhere_else(project_root: Path) -> None:
    """Or it would not find its cluster."""
    makers = re.compile(r"AIOKafka(Producer|Consumer|AdminClient|Client)\(")
    found = {
        str(path.relative_to(project_root))
        for path in (project_root / "services").rglob("*.py")
        if makers.search(path.read_text("utf-8"))
    }

    assert found == {
        "services/shared/engine/faust_seam/consumer.py",
        "services/shared/kafka/clients.py",
    }
