"""Back-tests: how Tidemark would have judged a history whose end is known."""
