"""
Run pure folds over Kafka partitions, exactly once, on Faust.

Faust carries group membership, assignment, rebalance signals, agents and timers. This package carries what
it does not: records delivered in *chunks*, and one transactional *lane* per source partition in which state,
outputs and source offset become durable together.

Here stands what a service declares and is told. Then read fold/ (a lane without I/O), memory/ (the same over a log in memory),
and the Kafka side: faust_seam/, kafka/, lane/, worker/. A room imports only from those before it.
"""
