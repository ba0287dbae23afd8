"""A session with Segment's SDK for Python."""

import os
import time

import segment.analytics as analytics

user, account = os.environ["USER_ID"], os.environ["ACCOUNT_ID"]

analytics.write_key = os.environ["WRITE_KEY"]
analytics.host = os.environ["INGEST"]
analytics.on_error = lambda error, _items: print("error", error, flush=True)

analytics.identify(user, {"name": "Ann", "plan": "pro"})
analytics.group(user, account, {"name": "Acme", "seats": 12})
for n in range(1, int(os.environ["TRACKS"]) + 1):
    analytics.track(user, "Report Exported", {"n": n})
    time.sleep(int(os.environ["PAUSE_MS"]) / 1000)
for n in range(1, 7):
    analytics.page(user, "docs", f"Page {n}", {"url": f"https://app.example/{n}"})
analytics.flush()
