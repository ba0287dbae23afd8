"""A real Apache Kafka broker of one's own: its jars by locked hashes, a Java to run them, and the process."""
