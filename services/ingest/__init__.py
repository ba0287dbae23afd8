"""
Ingest: events in over HTTP, records on Kafka out.

Consumes Segment's wire format. Produces `usage-events` (key: account), `usage-unattributed` (key: user) and
`usage-rejected` (key: source). A 200 means that every record of the request, dead letters included, is
acknowledged by all in-sync replicas; each event of the request has its own verdict in the body. A request whose
outcome is not known is answered with 429, and the sender repeats it under the same message ids. Events of one
request keep their order within an account; no order is promised between requests.

`--workers N` (TIDEMARK_INGEST_WORKERS) runs N processes on one port.
"""
