"""Tests of signal rules: cases, and playing them (`tidemark rules test`)."""
