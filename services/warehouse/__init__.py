"""
The read side: everything that happened, in ClickHouse, and questions about it over HTTP.

Consumes usage-events, usage-unattributed, account-health, risk-signals and expansion-signals, committed records
only. Produces no topic. Each record is stored once, whatever is killed or replayed: rows are keyed (topic,
partition, offset), and the position to go on from is read back from the tables. Serves the query API under /v1
and the read-only part of a schema registry's API, so that standard Avro consumers can read Tidemark's topics.
"""
