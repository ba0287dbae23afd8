"""A session with RudderStack's SDK for Python."""

import os
import time

import rudderstack.analytics as rudder_analytics

user, account = os.environ["USER_ID"], os.environ["ACCOUNT_ID"]

rudder_analytics.write_key = os.environ["WRITE_KEY"]
rudder_analytics.dataPlaneUrl = os.environ["INGEST"]
rudder_analytics.on_error = lambda error, _items: print("error", error, flush=True)

rudder_analytics.identify(user, {"name": "Ann", "plan": "pro"})
rudder_analytics.group(user, account, {"name": "Acme", "seats": 12})
for n in range(1, int(os.environ["TRACKS"]) + 1):
    rudder_analytics.track(user, "Report Exported", {"n": n})
    time.sleep(int(os.environ["PAUSE_MS"]) / 1000)
for n in range(1, 7):
    rudder_analytics.page(user, "docs", f"Page {n}", {"url": f"https://app.example/{n}"})
rudder_analytics.flush()
