"""
The console: server-rendered pages about accounts and their signals, for people who look after customers.

It reads the JSON API and nothing else, so it runs in the warehouse's process or apart from it: `--api URL` names the API.
"""
