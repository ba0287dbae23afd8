-- Every transition of every episode, of both signal topics. Granules are small because a list reads some bodies of many accounts.
CREATE TABLE IF NOT EXISTS signals (
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    appended_at DateTime64(3, 'UTC'),
    signal_id String,
    episode_id String,
    account String,
    rule LowCardinality(String),
    category LowCardinality(String),
    severity LowCardinality(String),
    transition LowCardinality(String),
    transition_number Int64,
    episode_started_at DateTime64(3, 'UTC'),
    at DateTime64(3, 'UTC'),
    historical Bool,
    owner String,
    revenue Nullable(Float64),
    renewal_day Nullable(Int64),
    body String CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree ORDER BY (account, topic, partition, offset)
SETTINGS index_granularity = 32;

-- The last transition of each episode without its body, for the signals that are open now. Of a transition that is repeated the
-- first one on the log counts: the version is its number, and then how early it stands.
CREATE TABLE IF NOT EXISTS signal_episodes (
    version UInt64,
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    appended_at DateTime64(3, 'UTC'),
    signal_id String,
    episode_id String,
    account String,
    rule LowCardinality(String),
    category LowCardinality(String),
    severity LowCardinality(String),
    transition LowCardinality(String),
    transition_number Int64,
    at DateTime64(3, 'UTC'),
    historical Bool,
    owner String,
    revenue Nullable(Float64),
    renewal_day Nullable(Int64)
) ENGINE = ReplacingMergeTree(version) ORDER BY (account, episode_id);

CREATE MATERIALIZED VIEW IF NOT EXISTS signal_episodes_of TO signal_episodes AS
SELECT
    bitShiftLeft(toUInt64(greatest(0, transition_number)), 44) + 17592186044415 - least(offset, 17592186044415) AS version,
    * EXCEPT (episode_started_at, body)
FROM signals;

-- Each transition once: its id is the same under replay.
CREATE OR REPLACE VIEW signals_unique AS
SELECT * FROM signals
ORDER BY account, topic, partition, offset
LIMIT 1 BY account, signal_id;

-- The last transition of each episode.
CREATE OR REPLACE VIEW episodes AS
SELECT * FROM signals_unique
ORDER BY account, episode_id, transition_number DESC
LIMIT 1 BY account, episode_id;
