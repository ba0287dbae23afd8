"""The log that events are written to: on Kafka, and in memory."""
