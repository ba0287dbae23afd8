"""What `services.shared.kafka.bootstrap` takes from the inside of aiokafka: an upgrade that moves it fails here."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata

from services.shared.kafka import clients
from services.shared.kafka.settings import KafkaSettings


def test_metadata_is_fetched_by_one_method_that_takes_where_to_put_it() -> None:
    assert inspect.iscoroutinefunction(AIOKafkaClient._metadata_update)
    assert list(inspect.signature(AIOKafkaClient._metadata_update).parameters) == ["self", "cluster_metadata", "topics"]
    assert "self._metadata_update(self.cluster, topics)" in inspect.getsource(AIOKafkaClient._md_synchronizer)


def test_the_method_still_asks_none_but_the_brokers_it_knows() -> None:
    """When this fails, aiokafka has learned it: `find_back` may go."""
    source = inspect.getsource(AIOKafkaClient._metadata_update)

    assert "self.cluster.brokers()" in source
    assert "self.hosts" not in source and "self.bootstrap()" not in source


def test_the_list_is_asked_in_turn_each_with_the_clients_timeout() -> None:
    """Which is another one meanwhile; nothing else may be under way by then."""
    source = inspect.getsource(AIOKafkaClient.bootstrap)

    assert "for host, port, _ in self.hosts:" in source
    assert source.count("request_timeout_ms=self._request_timeout_ms") == 1
    assert source.index("self._sync_task = create_task") > source.index("raise KafkaConnectionError")


async def test_the_list_is_asked_when_no_known_broker_answers() -> None:
    """Of every kind of client the inner one is replaced, not another one."""
    kafka = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    inner: list[AIOKafkaClient] = [clients.producer(kafka).client, clients.consumer(kafka)._client]

    for client in inner:
        assert isinstance(client, AIOKafkaClient)
        assert client._metadata_update.__module__ == "services.shared.kafka.bootstrap"
        assert not await client._metadata_update(ClusterMetadata(), None)


def test_no_client_is_made_anywhere_else(project_root: Path) -> None:
    """Or it would not find its way back."""
    makers = re.compile(r"AIOKafka(Producer|Consumer|AdminClient|Client)\(")
    found = {
        str(path.relative_to(project_root))
        for path in (project_root / "services").rglob("*.py")
        if makers.search(path.read_text("utf-8"))
    }

    assert found == {
        "services/shared/engine/faust_seam/consumer.py",
        "services/shared/kafka/bootstrap.py",
        "services/shared/kafka/clients.py",
    }
