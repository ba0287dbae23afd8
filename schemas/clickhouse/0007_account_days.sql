-- What the page of an account tells of its days, without reading its events: so their number does not matter. Both tables are made
-- of use alone, and a row that comes twice changes nothing. The partition is in the keys (all events of an account are in
-- one): so the latest row of each partition is always there, by which it is seen at start what a table lacks.

-- Who was active on each UTC day.
CREATE TABLE IF NOT EXISTS account_user_days (
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    appended_at DateTime64(3, 'UTC'),
    account String,
    day Int32,
    user String
) ENGINE = ReplacingMergeTree(offset) ORDER BY (account, day, user, topic, partition)
SETTINGS index_granularity = 1024;

CREATE MATERIALIZED VIEW IF NOT EXISTS account_user_days_of TO account_user_days AS
SELECT topic, partition, offset, appended_at, account, toInt32(toRelativeDayNum(toDate32(occurred_at))) AS day, user
FROM events
WHERE account != '' AND user != '' AND topic = 'usage-events' AND environment = 'production' AND NOT internal
    AND use AND actor NOT IN ('AGENT', 'INTEGRATION');

-- How many different events there were on each UTC day: exact up to a thousand, an estimate beyond. Granules are small because the
-- states are large, and a question reads the days of one account.
CREATE TABLE IF NOT EXISTS account_event_days (
    topic LowCardinality(String),
    partition UInt32,
    offset SimpleAggregateFunction(max, UInt64),
    appended_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    account String,
    day Int32,
    events AggregateFunction(uniqCombined64(15), UInt64)
) ENGINE = AggregatingMergeTree ORDER BY (account, day, topic, partition)
SETTINGS index_granularity = 128;

CREATE MATERIALIZED VIEW IF NOT EXISTS account_event_days_of TO account_event_days AS
SELECT
    topic,
    partition,
    max(events.offset) AS offset,
    max(events.appended_at) AS appended_at,
    account,
    toInt32(toRelativeDayNum(toDate32(occurred_at))) AS day,
    uniqCombined64State(15)(cityHash64(source, environment, event_id)) AS events
FROM events
WHERE account != '' AND topic = 'usage-events' AND environment = 'production' AND NOT internal AND use
GROUP BY topic, partition, account, day;
