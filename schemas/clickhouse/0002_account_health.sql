-- Every health snapshot; `body` is the whole record as JSON, the columns are what lists filter and sort by.
CREATE TABLE IF NOT EXISTS account_health (
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    appended_at DateTime64(3, 'UTC'),
    account String,
    sequence Int64,
    at DateTime64(3, 'UTC'),
    day Int64,
    reason LowCardinality(String),
    historical Bool,
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
    renewal_day Nullable(Int64),
    body String CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree ORDER BY (account, topic, partition, offset);

-- The last snapshot that was known of each account at the end of each UTC day, and so what any past day looked like: a day
-- ends at its midnight, which belongs to it. The version is the offset, since an account stays in its partition. That an
-- account was forgotten is a row of its own beside the snapshot, which stays in its history. Granules are small because a page
-- of accounts reads some days of each.
CREATE TABLE IF NOT EXISTS account_health_days (
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
    reason LowCardinality(String),
    historical Bool,
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
    renewal_day Nullable(Int64),
    body String CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree(offset) ORDER BY (account, known_day, forgotten)
SETTINGS index_granularity = 64;

CREATE MATERIALIZED VIEW IF NOT EXISTS account_health_days_of TO account_health_days AS
SELECT toInt32(floor((toUnixTimestamp64Milli(at) - 1) / 86400000)) AS known_day, reason = 'FORGOTTEN' AS forgotten, *
FROM account_health;

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

-- The latest snapshot of each account, for lists of all of them, with what is measured, and what says whether it is away.
CREATE TABLE IF NOT EXISTS account_health_current (
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    appended_at DateTime64(3, 'UTC'),
    account String,
    sequence Int64,
    at DateTime64(3, 'UTC'),
    day Int64,
    reason LowCardinality(String),
    historical Bool,
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
    renewal_day Nullable(Int64),
    measures Map(LowCardinality(String), Float64),
    absent_from Nullable(Int64),
    absent_until Nullable(Int64),
    calendar_level Nullable(Float64),
    public_holidays_7 Nullable(Float64)
) ENGINE = ReplacingMergeTree(offset) ORDER BY account;

CREATE MATERIALIZED VIEW IF NOT EXISTS account_health_current_of TO account_health_current AS
SELECT
    * EXCEPT body,
    CAST(JSONExtractKeysAndValues(body, 'measures', 'Float64'), 'Map(LowCardinality(String), Float64)') AS measures,
    JSONExtract(body, 'dates', 'absent_from', 'Nullable(Int64)') AS absent_from,
    JSONExtract(body, 'dates', 'absent_until', 'Nullable(Int64)') AS absent_until,
    if(mapContains(measures, 'calendar_level'), measures['calendar_level'], NULL) AS calendar_level,
    if(mapContains(measures, 'public_holidays_7'), measures['public_holidays_7'], NULL) AS public_holidays_7
FROM account_health;

-- An account that the scorer has forgotten has no health: a row with the reason FORGOTTEN hides those before it, until the
-- account is heard of again.
CREATE OR REPLACE VIEW account_health_latest AS
SELECT * FROM account_health_current FINAL
WHERE reason != 'FORGOTTEN';
