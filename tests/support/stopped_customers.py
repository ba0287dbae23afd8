"""A file of events of eleven small customers, two of whom stop: enough for a back-test that takes seconds."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

LOST_ON = date(2026, 4, 29)
"""A month after the first two stop."""


def write_events(file: Path) -> Path:
    """Write ten months of eleven accounts with two people on workdays; the first two stop after half a year."""
    first = LOST_ON - timedelta(days=210)
    with file.open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(("account", "user", "timestamp"))
        for day in range(300):
            at = first + timedelta(days=day)
            for account in range(11):
                if at.weekday() < 5 and (account > 1 or day < 180):
                    rows.writerows((f"c{account}", person, f"{at.isoformat()}T10:00:00Z") for person in ("ann", "bob"))
    return file
