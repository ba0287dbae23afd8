"""An erasure that ends before all of it was ordered, since a process is away."""

from __future__ import annotations

import pytest

from services.cli.erasing.orders import order_person
from services.shared.errors import Retryable
from services.shared.kafka.reading import decoded, scan
from services.shared.kafka.settings import KafkaSettings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

JO, FORMER, BROWSER = "u_jo________________", "u_former____________", "u_browser___________"


async def test_an_erasure_without_the_scorer_names_each_id_of_the_person_and_keeps_their_letters_out(
    kafka_settings: KafkaSettings,
) -> None:
    with pytest.raises(Retryable, match="attribution has not read whom it is to forget") as raised:
        await order_person(kafka_settings, [JO, FORMER], ["acme"], 0.5, [BROWSER])

    assert all(f"`tidemark erase --user {each}`" in str(raised.value) for each in (JO, FORMER))
    for topic in ("usage-rejected", "dead-letters"):
        ordered = {decoded(each.value)[1]["user"] async for each in scan(kafka_settings, topic)}
        assert ordered == {JO, FORMER, BROWSER}


async def test_an_erasure_of_one_id_without_the_scorer_says_to_run_the_same_command_again(
    kafka_settings: KafkaSettings,
) -> None:
    with pytest.raises(Retryable, match="Run the same command again") as raised:
        await order_person(kafka_settings, [JO], [], 0.5)

    assert "--user" not in str(raised.value)
