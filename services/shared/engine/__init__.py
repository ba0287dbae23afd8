"""
Run pure folds over Kafka partitions, exactly once, on Faust.

Faust carries group membership, assignment, rebalance signals, agents and timers. This package carries what
it does not: records delivered in *chunks*, and one transactional *lane* per source partition in which state,
outputs and source offset become durable together.

Read in this order: processor.py (the port), spec.py, runner.py (a lane without I/O) and gathering.py (what it gives), memory.py
(the same over memory_log.py), then the Kafka side: chunks.py, consumer.py, changelog.py, lane_writer.py, lane.py with what
it is made of (lane_states.py, feeding.py, intake.py, commits.py, ownership.py, recovery.py, hearing.py), worker.py.
"""
