"""
A lane without any I/O: it feeds a processor, gathers its work into transactions, and decides what follows where it raises.

Both backends, Kafka and the log in memory, stand on it.
"""
