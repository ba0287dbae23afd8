"""The same lanes over a log in memory: for replays, tests and back-tests."""
