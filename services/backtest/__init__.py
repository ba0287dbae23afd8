"""
Back-tests: a past is driven through the very folds that production runs, and what they said is measured.

`histories/` reads pasts (files of events, the log, generated accounts), `driving/` folds them, `domain/` measures what came
out beside the plainest rules, and `report/` writes it down for people.
"""
