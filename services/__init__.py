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
