"""The scorer's pure processor: records in, state and snapshots out. It does no I/O and reads no clock."""
