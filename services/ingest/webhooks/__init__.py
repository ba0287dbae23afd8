"""Webhooks of vendors: who may send them, and where. What becomes of them is in the domain."""
