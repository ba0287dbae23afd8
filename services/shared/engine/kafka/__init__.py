"""What lanes ask of the cluster by clients of their own, besides Faust's: changelogs, transactions, topics, ends."""
