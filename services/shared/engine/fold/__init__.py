"""A lane without any I/O: a processor is fed, its work gathered into transactions, and its raises answered. Both backends stand on it."""
