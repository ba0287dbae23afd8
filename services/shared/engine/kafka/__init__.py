"""What lanes do with Kafka through clients of their own, not Faust's: changelogs, transactions, topics, ends of partitions."""
