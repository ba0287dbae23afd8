-- The state of each account at the end of each UTC day on which it had one, day by day: for questions about all accounts as of
-- some days, which read those days alone. It is account_health_days without bodies in another order, which by account would be
-- read whole. That an account was forgotten takes the place of its snapshot here: after it there is no state.
CREATE TABLE IF NOT EXISTS account_health_states (
    known_day Int32,
    forgotten Bool,
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    appended_at DateTime64(3, 'UTC'),
    account String,
    sequence Int64,
    at DateTime64(3, 'UTC'),
    day Int64,
    stage LowCardinality(String),
    band LowCardinality(String),
    score_tenths Int64,
    previous_score_tenths Nullable(Int64),
    coverage Float64,
    risk_thousandths Nullable(Int64),
    risk_predicts LowCardinality(String),
    last_active_day Int64,
    silent_days Int64,
    name String,
    owner String,
    revenue Nullable(Float64),
    seats Nullable(Int64),
    renewal_day Nullable(Int64)
) ENGINE = ReplacingMergeTree(offset) ORDER BY (known_day, account)
SETTINGS index_granularity = 1024;

CREATE MATERIALIZED VIEW IF NOT EXISTS account_health_states_of TO account_health_states AS
SELECT
    toInt32(floor((toUnixTimestamp64Milli(at) - 1) / 86400000)) AS known_day,
    reason = 'FORGOTTEN' AS forgotten,
    * EXCEPT (body, reason, historical)
FROM account_health;
