-- How far the sink has read where the records that it read last make no rows (ticks, for example). The position to go
-- on from is this or the largest offset of the rows, whichever is further on.
CREATE TABLE IF NOT EXISTS positions (
    topic LowCardinality(String),
    partition UInt32,
    next_offset UInt64
) ENGINE = ReplacingMergeTree(next_offset) ORDER BY (topic, partition);
