"""One file per sub-command; heavy modules are imported inside functions."""
