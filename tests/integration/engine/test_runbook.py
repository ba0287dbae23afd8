"""What the runbooks tell an operator to type does what they say."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import textwrap
from pathlib import Path

from schemas.topics import ALERTER_ACCOUNT_HEALTH_STATE
from services.shared.engine.kafka import changelog
from services.shared.kafka.clients import producer
from services.shared.kafka.partition import partition_for
from services.shared.kafka.settings import KafkaSettings

BAD = b"account-1\xff\x00'"


async def test_a_record_of_state_that_cannot_be_read_is_deleted_from_the_partition_that_has_it(
    kafka_settings: KafkaSettings, project_root: Path
) -> None:
    elsewhere = 1 - partition_for(BAD, 2)  # the lane's own: not where the key alone would lead
    async with producer(kafka_settings) as out:
        for key in (BAD, b"account-2"):
            await out.send_and_wait(kafka_settings.scoped(ALERTER_ACCOUNT_HEALTH_STATE), b"?", key, elsewhere)
    text = (project_root / "docs/runbooks/TidemarkLaneStopped.md").read_text("utf-8")
    (typed,) = re.findall(r"<<'END'\n(.*?)\n +END\n", text, re.DOTALL)

    ran = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(typed),
        env={
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": kafka_settings.bootstrap_servers,
            "TIDEMARK_TOPIC_PREFIX": kafka_settings.topic_prefix,
            "CHANGELOG": ALERTER_ACCOUNT_HEALTH_STATE,
            "KEY": repr(BAD),
            "PARTITION": str(elsewhere),
        },
    )

    assert await ran.wait() == 0
    loaded = await changelog.load(kafka_settings, {"state": ALERTER_ACCOUNT_HEALTH_STATE}, elsewhere)
    assert loaded.stores == {"state": {b"account-2": b"?"}}
