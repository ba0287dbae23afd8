"""
Events as they arrive, for the developer who sends them: in the terminal and on a page.

The source is the log, since ingest is several processes and each sees only its own requests. Nothing is read while nobody
watches, and what watching costs has a bound: of a flood it shows some, and says how many it does not.
"""
