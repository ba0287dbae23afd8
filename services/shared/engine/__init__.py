"""
Run pure folds over Kafka partitions, exactly once, on Faust.

Faust does group membership, assignment, rebalance signals and agents. This package adds what
it lacks: records delivered in *chunks*, and one transactional *lane* per source partition in which state,
outputs and source offset become durable together.

Begin with processor.py and spec.py: what a service implements and declares. Then read fold/ (a lane without I/O), faust_seam/
and kafka/, memory/ (lanes over a log in memory), lane/ (a lane on Kafka) and worker/. Each folder imports only from those
before it. docs/engine.md says what each module is for.
"""
