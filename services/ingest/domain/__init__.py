"""The pure part of ingest: from bytes to verdicts, with no clock and no I/O."""
