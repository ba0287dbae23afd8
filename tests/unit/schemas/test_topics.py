"""The topic records hold what the design promises of each topic."""

import re

import msgspec
import pytest

from schemas import released, topics
from schemas.topics import ROOT, TOPICS, Topic
from services.shared.units import DAY_MS

ALL = [pytest.param(t, id=t.name) for t in TOPICS.values()]
SERVICES = {"ingest", "scorer", "alerter", "warehouse", "cli"}


def test_every_topic_has_its_constant_and_every_constant_its_topic() -> None:
    constants = {value: name for name, value in vars(topics).items() if name.isupper() and isinstance(value, str)}

    assert constants == {name: name.upper().replace("-", "_") for name in TOPICS}


def test_all_topics_of_the_pipeline_are_there() -> None:
    assert sorted(TOPICS) == [
        "account-health",
        "account-health-latest",
        "alerter-account-health-state",
        "backfill-progress",
        "dead-letters",
        "expansion-signals",
        "fleet",
        "fleet-partials",
        "installation",
        "open-signals",
        "risk-signals",
        "scorer-fleet-partials-state",
        "scorer-usage-events-ids",
        "scorer-usage-events-state",
        "scorer-usage-unattributed-ids",
        "scorer-usage-unattributed-state",
        "usage-details",
        "usage-events",
        "usage-rejected",
        "usage-unattributed",
    ]


@pytest.mark.parametrize("topic", ALL)
def test_a_topic_name_has_no_dot_since_it_collides_with_an_underscore_in_metrics(topic: Topic) -> None:
    assert re.fullmatch(r"[a-z][a-z-]*[a-z]", topic.name)


@pytest.mark.parametrize("topic", ALL)
def test_record_time_is_the_time_of_append_so_that_old_events_do_not_expire_at_once(topic: Topic) -> None:
    assert topic.kafka_config["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize("topic", ALL)
def test_a_topic_has_an_owner_a_limit_and_words(topic: Topic) -> None:
    assert topic.owner in SERVICES
    assert topic.description and topic.key
    assert 1_048_576 <= topic.max_message_bytes <= 4 * 1_048_576


@pytest.mark.parametrize("topic", ALL)
def test_retention_is_given_exactly_where_records_are_deleted_by_age(topic: Topic) -> None:
    if topic.cleanup == "compact":
        assert topic.retention_ms == -1
        assert topic.config["segment.bytes"] == str(64 * 1024 * 1024)
        assert topic.config["min.cleanable.dirty.ratio"] == "0.1"
    else:
        assert topic.retention_ms >= 30 * DAY_MS or (topic.name == "installation" and topic.retention_ms == -1)


@pytest.mark.parametrize("topic", ALL)
def test_no_record_is_deleted_because_of_the_size_of_its_topic_whatever_brokers_do_by_default(topic: Topic) -> None:
    assert topic.kafka_config["retention.bytes"] == "-1"


@pytest.mark.parametrize("topic", ALL)
def test_three_copies_of_which_two_have_what_is_acknowledged(topic: Topic) -> None:
    assert (topic.replication, topic.min_insync) == (3, 2)


@pytest.mark.parametrize(
    ("name", "days"),
    [("usage-events", 400), ("dead-letters", 400), ("account-health", 30), ("risk-signals", 90)],
)
def test_what_replay_and_subscribers_rely_on_is_kept_long_enough(name: str, days: int) -> None:
    assert TOPICS[name].retention_ms >= days * DAY_MS


@pytest.mark.parametrize("topic", ALL)
def test_a_topic_carries_records_that_exist_in_versions_that_exist(topic: Topic) -> None:
    there = {(f.record, f.version) for f in released.FILES}
    carried = {(c.record, v) for c in topic.records for v in c.versions}

    assert carried <= there
    assert bool(topic.records) == (topic.encoding == "avro")
    for c in topic.records:
        assert c.versions == sorted(f.version for f in released.FILES if f.record == c.record)
        assert all(example.startswith(f"{c.record}/examples/") for example in c.examples)


@pytest.mark.parametrize("topic", ALL)
def test_a_compacted_topic_has_gaps_so_nobody_takes_one_for_a_loss(topic: Topic) -> None:
    assert topic.read_as == "transactional" or topic.cleanup == "delete"


def test_every_record_is_carried_by_a_topic() -> None:
    assert {c.record for t in TOPICS.values() for c in t.records} == set(released.RECORDS)


def test_a_changelog_has_as_many_partitions_as_the_topic_of_its_lanes() -> None:
    for name, topic in TOPICS.items():
        if topic.encoding == "state":
            source = re.sub(r"^(scorer|alerter)-(.*)-(state|ids)$", r"\2", name)
            assert topic.partitions == TOPICS[source].partitions


def test_the_folder_holds_nothing_but_topic_records() -> None:
    assert {p.name for p in ROOT.iterdir()} == {f"{name}.yaml" for name in TOPICS}


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (("owner: ingest", "ownr: ingest"), "unknown field `ownr`"),
        (("partitions: shared", "partitions: many"), "Invalid enum value|Expected `int"),
        (('"2097152"', "2097152"), "Expected `str`"),
        (("cleanup: delete", "cleanup: shred"), "Invalid enum value"),
    ],
)
def test_a_wrong_topic_record_is_refused_with_the_place(edit: tuple[str, str], complaint: str) -> None:
    text = (ROOT / "usage-events.yaml").read_text("utf-8").replace(*edit)

    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.yaml.decode(text, type=Topic)
