"""How far the store is behind: by records, and by how long they may have waited."""

from __future__ import annotations

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from services.shared.kafka.settings import KafkaSettings
from services.warehouse.filling.lag import Lag
from services.warehouse.metrics import WarehouseMetrics

PLACE = ("usage-events", 0)


def test_what_comes_after_an_idle_hour_has_not_waited_for_an_hour() -> None:
    registry, stored = CollectorRegistry(), {PLACE: 5}
    newest = {PLACE: 1_000_000}
    lag = Lag(KafkaSettings(), WarehouseMetrics(registry), stored, newest)

    def seconds(end: int, now: float) -> float | None:
        lag.show({TopicPartition(*PLACE): end}, now)
        return registry.get_sample_value("tidemark_warehouse_lag_seconds", {"topic": PLACE[0], "partition": "0"})

    assert seconds(9, 1_500.0) == 500  # behind since before the first look

    stored[PLACE] = 9
    assert seconds(9, 4_600.0) == 0
    assert seconds(10, 4_601.0) == 1
    assert seconds(10, 4_660.0) == 60

    newest[PLACE] = 4_655_000
    assert seconds(12, 4_661.0) == 6


def test_where_nobody_tells_the_end_of_a_partition_its_lag_goes_on_and_it_is_named_after_a_minute() -> None:
    registry = CollectorRegistry()
    lag = Lag(KafkaSettings(), WarehouseMetrics(registry), {PLACE: 5, ("account-health", 1): 9}, {})
    both = {TopicPartition(*PLACE): 5, TopicPartition("account-health", 1): 9}

    lag.show(both, 2e9)
    lag.show({TopicPartition(*PLACE): 5}, 2e9 + 61)

    assert lag.unknown(2e9 + 61) == ("account-health", 1)
    of = {"topic": "account-health", "partition": "1"}
    assert registry.get_sample_value("tidemark_warehouse_lag_seconds", of) == 61
    lag.show(both, 2e9 + 62)
    assert lag.unknown(2e9 + 62) is None
    assert registry.get_sample_value("tidemark_warehouse_lag_seconds", of) == 0
