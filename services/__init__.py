"""
Tidemark, one package a process or a task.

ingest     events over HTTP, onto Kafka
scorer     events and time, folded into the health of accounts
alerter    health, judged by rules, into risk and expansion signals
warehouse  the log in ClickHouse, and questions about it
backfill   files of the past, through ingest
simulator  made-up customers for the demo
cli        the command-line tool, `tidemark`
shared     what two or more of them use and that holds no business rule; the stream engine is here
"""

import gc

# Every process collects after 20,000 new objects instead of Python's own 700. What is imported stays, and records,
# decoded values and the tasks of transactions hold no cycles: they are freed as soon as nothing refers to them. To look
# for cycles among them was an eighth of the time to start, and 0.25 us a record.
gc.set_threshold(20_000, 20, 20)
