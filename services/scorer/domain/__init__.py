"""The scorer's pure core: records in, state and snapshots out. It does no I/O and reads no clock."""
