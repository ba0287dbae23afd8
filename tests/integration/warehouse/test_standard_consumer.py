"""A consumer that knows nothing of Tidemark reads the signals: the warehouse is all the registry it needs."""

import asyncio
import json
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from starlette.applications import Starlette

from schemas import codec, released
from services.shared.http.server import serving
from services.shared.kafka import clients
from services.shared.kafka.settings import KafkaSettings
from services.warehouse.http.registry import registry_routes


@pytest.mark.timeout(60)
async def test_a_standard_avro_consumer_reads_signals_with_the_warehouse_as_registry(
    kafka_settings: KafkaSettings,
) -> None:
    topic = kafka_settings.scoped("risk-signals")
    value = json.loads((released.ROOT / "signal/examples/usage_decline_firing.json").read_text("utf-8"))
    producer = clients.producer(kafka_settings)
    await producer.start()
    await producer.send_and_wait(topic, codec.encoder("signal")(value), key=b"acme")
    await producer.stop()

    def read(port: int) -> Any:
        registry = SchemaRegistryClient({"url": f"http://127.0.0.1:{port}"})
        assert f"{topic}-value" in registry.get_subjects()
        assert registry.get_latest_version(f"{topic}-value").schema_id == codec.SCHEMA_IDS["signal"]
        deserialize = AvroDeserializer(registry)
        consumer = Consumer(
            {
                "bootstrap.servers": kafka_settings.bootstrap_servers,
                "group.id": f"{kafka_settings.topic_prefix}standard",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        try:
            consumer.subscribe([topic])
            message = consumer.poll(30)
            assert message is not None
            assert message.error() is None
            return deserialize(message.value(), SerializationContext(topic, MessageField.VALUE))
        finally:
            consumer.close()

    async with serving(Starlette(routes=registry_routes(kafka_settings.topic_prefix)), "127.0.0.1", 0) as port:
        found = await asyncio.to_thread(read, port)

    assert found == value
