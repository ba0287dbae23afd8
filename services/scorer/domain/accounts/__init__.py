"""What is remembered of one account, by kinds of state."""
