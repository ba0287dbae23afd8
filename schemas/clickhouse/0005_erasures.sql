-- People and accounts that are to be erased, as ordered on usage-details, and what was removed (JSON, rows by table; empty
-- until it is done). What is read later and was appended before an erasure is withheld by it. `stands_for` leads from a
-- pseudonym to the one that took its place, so a row goes as soon as the topic of the order has let it go.
CREATE TABLE IF NOT EXISTS erasures (
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    appended_at DateTime64(3, 'UTC'),
    user String,
    stands_for String,
    account String,
    at DateTime64(3, 'UTC'),
    by String,
    done UInt8,
    removed String
) ENGINE = ReplacingMergeTree(done) ORDER BY (topic, partition, offset) TTL toDateTime(appended_at) + toIntervalDay(31);
