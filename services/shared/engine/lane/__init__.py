"""One lane on Kafka, from its opening to its end."""
