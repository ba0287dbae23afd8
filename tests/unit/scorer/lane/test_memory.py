"""What an account weighs in memory under the default plan: counted, with fifty people and all five daily counts in use."""

from __future__ import annotations

import gc
import random
import tracemalloc

from tests.support.scorer import UsageLane, at

ACCOUNTS, PEOPLE, DAYS = 30, 50, 30
LIMIT = 6 * 1024


def test_an_account_of_fifty_people_takes_less_than_six_kilobytes() -> None:
    rnd = random.Random(1)
    lane, number = UsageLane(), 0
    tracemalloc.start()
    try:
        for day in range(DAYS):
            for account in range(ACCOUNTS):
                for user in range(PEOPLE + 4):  # four of them only write tickets
                    if day in {0, DAYS - 1} or rnd.random() < 0.2:
                        number += 1
                        name = ["Viewed", "Report Shared", "Ticket Opened", "Ticket Closed"][
                            user % 4 if user < 8 else 0
                        ]
                        properties = {"ticket_id": user // 4}
                        lane.event(
                            f"e{number}",
                            f"acct-{account}",
                            f"user-{user}@x.example",
                            at(day, 9),
                            name=name,
                            properties=properties,
                        )
            lane.tick(at(day, 20))
            if day < DAYS - 1:
                lane.close(day)
            lane.state_records()
            lane.out.clear()
        for account in range(ACCOUNTS):
            lane.event(
                f"g{account}",
                f"acct-{account}",
                when=at(DAYS - 1, 20),
                kind="GROUP",
                properties={"seats": 60, "owner": "mia", "arr": 1e5},
            )
        lane._records.clear()
        lane.out.clear()
        gc.collect()
        kept = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.Filter(True, "*/scorer/domain/*"), tracemalloc.Filter(False, "*/duplicates.py")]
        )
        per_account = sum(trace.size for trace in kept.traces) / ACCOUNTS
    finally:
        tracemalloc.stop()

    assert len(lane.state.accounts["acct-0"].active_users) == PEOPLE
    assert sum(ring is not None for ring in lane.state.accounts["acct-0"].daily_counts.counts) == 5
    assert per_account < LIMIT, f"{per_account:.0f} bytes"
