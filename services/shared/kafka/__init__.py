"""Kafka as Tidemark uses it: settings, clients, partitions, topics, and the embedded broker."""
