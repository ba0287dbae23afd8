"""Records that somebody has packed, by `compression.type` of a topic or in a producer that is not ours, are records like all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.shared.engine.settings import EngineSettings
from tests.support.counting.in_process import working
from tests.support.counting.trial import CHANGELOG, SOURCE, trial
from tests.support.topic_settings import alter

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SETTINGS = EngineSettings(session_timeout_s=3, heartbeat_s=0.3, transaction_ms=20)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_topic_may_be_compressed_by_any_codec_of_kafka(kafka: Any, tmp_path: Path, codec: str) -> None:
    async with trial(kafka.bootstrap, partitions=1) as log:
        await alter(log.kafka, SOURCE, {"compression.type": codec})
        await alter(log.kafka, CHANGELOG, {"compression.type": codec, "cleanup.policy": "compact"})
        await log.produce((b"k%d" % (n % 3), b"1" * 300) for n in range(30))
        async with working(log.kafka, tmp_path, SETTINGS):
            assert (await log.settled(30)).exact

        await log.produce((b"k%d" % (n % 3), b"1" * 300) for n in range(30))

        async with working(log.kafka, tmp_path, SETTINGS):  # it is restored from a changelog that is packed as well
            assert (await log.settled(30)).exact
