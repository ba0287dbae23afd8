-- The id on the cluster of each topic that rows were read from: another one where a topic was deleted and made anew, whose
-- offsets mean something else.
CREATE TABLE IF NOT EXISTS sources (
    topic LowCardinality(String),
    topic_id String
) ENGINE = ReplacingMergeTree ORDER BY topic;
