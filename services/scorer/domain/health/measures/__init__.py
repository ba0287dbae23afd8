"""The functions that compute the measures, by dimension: one for each record in `schemas/measures`, of the same name."""
