"""How the files of a backfill's tests are read, and when."""

from __future__ import annotations

from services.backfill.mapping import Mapping
from services.backfill.times import TimeFormat

NOW_MS = 1_800_000_000_000
COMMITS = Mapping(account="acct", user="user", time="ts", time_format=TimeFormat.SECONDS, event_name="Commit")
