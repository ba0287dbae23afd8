"""The scorer's edges: records to values and back, the clock of the world, settings and metrics."""
