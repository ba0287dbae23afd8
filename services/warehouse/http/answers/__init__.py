"""
The shapes of answers, for the OpenAPI document.

Dates and times are ISO 8601 in UTC, scores are points with one decimal. A null `next` ends a list; otherwise it is the `cursor`
of the page to follow.
"""
