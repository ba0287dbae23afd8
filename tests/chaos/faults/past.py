"""To come."""
FAULTS = []
