"""What was known of an account at the end of a day, and why a rule did or did not fire: recomputed from the log."""
