"""Tests of the engine end producers in all the ways in which Kafka ends them."""

from __future__ import annotations

import gc


def pytest_runtest_logfinish() -> None:
    """
    Free what a test has left: the futures that a producer leaves failed tell of themselves when they are freed.

    While Python 3.11 parses a source, that breaks the parsing: a later test that reads docstrings of settings came upon "AST constructor
    recursion depth mismatch" (python/cpython#106905).
    """
    gc.collect()
