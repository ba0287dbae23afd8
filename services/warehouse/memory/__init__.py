"""Keeps the store in memory."""
