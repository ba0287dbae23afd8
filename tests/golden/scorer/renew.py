"""
Write the golden bytes of every format that can be written, if there are none yet: `python tests/golden/scorer/renew.py`.

What is there is never written again: it stands for what is on the changelogs of deployments.
"""

import json
from pathlib import Path

from services.scorer.domain.lane.state_format import NEWEST
from services.scorer.testing import UsageLane, at

HERE = Path(__file__).parent


def lane(written: int) -> UsageLane:
    """Return a lane in the middle of its second day, with everything in it that a state record can hold."""
    lane = UsageLane(written=written)
    lane.event("e1", user="ann", when=at(0, 3))
    lane.event("e2", user="bob", when=at(0, 4), name="Report Shared")
    lane.event("e3", user="ann", when=at(0, 5))
    lane.event("t1", when=at(0, 4), name="Ticket Opened", properties={"ticket_id": "T-1"})
    lane.event("t2", when=at(0, 4), name="Ticket Opened", properties={"ticket_id": "T-2"})
    lane.event("t3", when=at(0, 6), name="Ticket Closed", properties={"ticket_id": "T-2"})
    lane.event("n1", user="ann", when=at(0, 5), name="NPS Submitted", properties={"score": 4})
    traits = {"seats": 7, "owner": "mia", "renewal_date": "2025-03-01"}
    lane.event("g1", when=at(0, 6), kind="GROUP", properties=traits)
    lane.event("b1", account="broken", when=at(0, 6))
    lane.tick(at(0, 7))
    lane.fold.quarantine("broken", "its evaluation raised ZeroDivisionError: division by zero", frozen=False)
    lane.close(0)
    lane.event("e4", user="cid", when=at(1, 2) - 2000)
    lane.event("e5", user="ann", when=at(1, 2), accepted_by="ingest-a-0")
    return lane


if __name__ == "__main__":
    for number in range(1, NEWEST + 1):
        path = HERE / f"state_format_{number}.json"
        if not path.exists():
            records = {key.decode("latin-1"): v.hex() for key, v in sorted(lane(number).state_records().items())}
            path.write_text(json.dumps(records, indent=1) + "\n", "utf-8")
