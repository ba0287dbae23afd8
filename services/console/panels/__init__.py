"""The panels of an account: charts over one axis, each with the table that says the same in text."""
