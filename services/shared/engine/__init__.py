"""
Run pure folds over Kafka partitions, exactly once, on Faust.

Faust carries group membership, assignment, rebalance signals, agents and timers. This package carries what
it does not: records delivered in *chunks*, and one transactional *lane* per source partition in which state,
outputs and source offset become durable together.

Read in this order: core.py (the port), spec.py, fold.py (a lane without I/O) and gathering.py (what it gives), memory.py
(the same over memory_log.py), then the Kafka side: chunks.py, consumer.py, loader.py, transaction.py, lane.py with what
it is made of (intake.py, commits.py, ownership.py, opening.py, hearing.py), worker.py.
"""
