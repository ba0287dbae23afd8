"""
Keep the usage of every account and say how healthy it is.

The scorer reads usage-events and fleet-partials, keeps its state on its own changelogs, and writes snapshots to
account-health and account-health-latest, fleet factors to fleet, and what it cannot apply to dead-letters.
Every event is counted exactly once; the same log gives the same snapshots, byte for byte.
"""
