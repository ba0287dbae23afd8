-- Every event as it stands on the log. A row's identity is (topic, partition, offset): a record that is read again
-- replaces itself. The account comes first in the sorting key because people ask by account; it is a function of the
-- record, so it makes no second identity.
--
-- There is no PARTITION BY, and there must be none: an insert that is split between partitions can be half stored,
-- and the position of the sink is the largest offset that it finds here.
CREATE TABLE IF NOT EXISTS events (
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    appended_at DateTime64(3, 'UTC'),
    event_id String,
    id_source LowCardinality(String),
    source LowCardinality(String),
    environment LowCardinality(String),
    account String,
    user String,
    identified Bool,
    internal Bool,
    via LowCardinality(String),
    actor LowCardinality(String),
    kind LowCardinality(String),
    name String,
    use Bool,
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    skew_ms Int64,
    epoch Int64,
    historical Bool,
    properties String CODEC(ZSTD(1)),
    INDEX occurred_at_range occurred_at TYPE minmax GRANULARITY 1,
    -- A page of an account asks for events of a few names, most of them rare.
    INDEX names name TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplacingMergeTree ORDER BY (account, topic, partition, offset);

-- How many arrived, by the hour, without account and person: for what came in during the last hours and days. The state is
-- the set of their offsets, so a row that comes twice changes nothing. A row is gone after five weeks.
CREATE TABLE IF NOT EXISTS arrivals (
    hour DateTime('UTC'),
    topic LowCardinality(String),
    partition UInt32,
    offset SimpleAggregateFunction(max, UInt64),
    name String,
    source LowCardinality(String),
    environment LowCardinality(String),
    kind LowCardinality(String),
    events AggregateFunction(groupBitmap, UInt64)
) ENGINE = AggregatingMergeTree ORDER BY (hour, topic, partition, name, source, environment, kind)
TTL hour + INTERVAL 35 DAY;

CREATE MATERIALIZED VIEW IF NOT EXISTS arrivals_of TO arrivals AS
SELECT
    toStartOfHour(toDateTime(received_at, 'UTC')) AS hour,
    topic,
    partition,
    max(events.offset) AS offset,
    name,
    source,
    environment,
    kind,
    groupBitmapState(events.offset) AS events
FROM events
GROUP BY hour, topic, partition, name, source, environment, kind;

-- What events hold beyond that: the ids of people, and what scoring does not need. The only table with personal data,
-- and the one from which a person is erased. Looked up by the id of an event.
CREATE TABLE IF NOT EXISTS event_details (
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    appended_at DateTime64(3, 'UTC'),
    event_id String,
    source LowCardinality(String),
    environment LowCardinality(String),
    account String,
    user String,
    user_id String,
    anonymous_id String,
    occurred_at DateTime64(3, 'UTC'),
    received_at DateTime64(3, 'UTC'),
    epoch Int64,
    properties String CODEC(ZSTD(1)),
    extra String CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree ORDER BY (event_id, source, topic, partition, offset);

-- Whom a pseudonym stands for, and when the log last said so: kept as long as the details that it comes from.
CREATE TABLE IF NOT EXISTS people (
    user String,
    user_id String,
    appended_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(appended_at) ORDER BY user;

CREATE MATERIALIZED VIEW IF NOT EXISTS people_of_details TO people AS
SELECT user, any(user_id) AS user_id, max(appended_at) AS appended_at FROM
(SELECT user, user_id, appended_at FROM event_details WHERE user_id != '')
GROUP BY user;

-- Each event once: a client's retry has the same identity (account or else user, source, environment, event_id), and
-- the first on the log wins.
CREATE OR REPLACE VIEW events_unique AS
SELECT * FROM events
ORDER BY account, topic, partition, offset
LIMIT 1 BY account, if(account = '', user, ''), source, environment, event_id;

-- Use alone, by the tracking plan that ingest had: who is identified by a job at night, gets an invoice or has a ticket opened has
-- not used anything. Computed from the unique events when it is read. A sum kept up by inserts would count replays.
CREATE OR REPLACE VIEW account_days AS
SELECT
    account,
    toDate32(occurred_at) AS day,
    count() AS events,
    uniqExactIf(user, user != '' AND actor NOT IN ('AGENT', 'INTEGRATION')) AS active_users
FROM events_unique
WHERE topic = 'usage-events' AND environment = 'production' AND NOT internal AND use
GROUP BY account, day;
