"""Connections of HTTP: bounds on them, offers of other protocols, answers without an application, and orderly ends."""
