"""
Alerter: account health in, risk and expansion signals out.

Consumes account-health (read_committed, in partition order). Produces risk-signals and expansion-signals, keyed by
account: one record for each transition (firing, updated, resolved) of an episode; and open-signals, compacted and
keyed by episode: the latest record while the episode is open, nothing once it is resolved. State, outputs and the
source offset are one Kafka transaction, so each snapshot is judged once. Its time is the `at` of the snapshots: it
never reads a clock, and the same snapshots give the same signals, byte for byte.
"""
