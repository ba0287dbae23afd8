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

-- An account stays in its partition, so the largest offset is the latest snapshot. One that the scorer has forgotten has
-- none: a row with the reason FORGOTTEN and no body hides those before it, until the account is heard of again.
CREATE OR REPLACE VIEW account_health_latest AS
SELECT * FROM (
    SELECT * FROM account_health
    ORDER BY account DESC, topic DESC, partition DESC, offset DESC
    LIMIT 1 BY account
)
WHERE reason != 'FORGOTTEN';

-- Each account's tenth among all whose risk is known: 1 is the riskiest. Equal risks share a tenth.
CREATE OR REPLACE VIEW account_risk AS
SELECT account, toInt64(1 + intDiv(10 * riskier, ranked)) AS risk_tenth FROM (
    SELECT account, rank() OVER (ORDER BY risk_thousandths DESC) - 1 AS riskier, count() OVER () AS ranked
    FROM account_health_latest
    WHERE risk_thousandths IS NOT NULL
);
