"""One file a sub-command; what is heavy is imported inside of functions."""
