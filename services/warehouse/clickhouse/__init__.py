"""Keeps the store in ClickHouse: the embedded engine, or a server."""
