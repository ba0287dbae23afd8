"""
Write the golden bytes of every format that can be written, if there are none yet: `python tests/golden/scorer/renew.py`.

What is there is never written again: it stands for what is on the changelogs of deployments.
"""

import json
from pathlib import Path

from services.scorer.domain.attribution.state import FORMAT
from services.scorer.domain.lane.state_format import NEWEST
from tests.support.attribution import AttributionLane
from tests.support.plans import fact_traits, plan_of
from tests.support.scorer import UsageLane, at

HERE = Path(__file__).parent
PLAN = plan_of(
    {
        "Report Shared": ["counts.value", "milestones.first_value"],
        "Report Exported": ["counts.exports", "features.sheets"],
        "Invoice Sent": ["cases.invoices.opened"],
        "Invoice Paid": ["cases.invoices.closed"],
        "Rated": ["answers.csat"],
    },
    group_traits=fact_traits(seats=("whole_number", "seats"), tier=("text", "tier")),
    identify_traits={"role": {"type": "text", "means": "role"}},
    cases={"invoices": {"id": "invoice"}},
    answers={"csat": {"score": "stars", "scale": [1, 5]}},
    features={"sheets": "core"},
    roles=["admin", "viewer"],
)
"""A plan that declares names of each kind."""


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


def lane_of_kinds(written: int) -> UsageLane:
    """Return the same for a tracking plan that declares names of each kind."""
    lane = UsageLane(PLAN, written=written)
    lane.event("w1", user="ann", when=at(0, 1), kind="IDENTIFY", properties={"role": "admin"})
    lane.event("e1", user="ann", when=at(0, 3), name="Report Exported")
    lane.event("i1", when=at(0, 4), name="Invoice Sent", properties={"invoice": "I-1"})
    lane.event("r1", user="bob", when=at(0, 5), name="Rated", properties={"stars": 2})
    for hour, seats in ((6, 50), (7, 40)):
        lane.event(f"g{hour}", when=at(0, hour), kind="GROUP", properties={"seats": seats, "tier": "pro"})
    lane.close(0)
    lane.event("e2", user="cid", when=at(1, 2), name="Report Exported")
    lane.event("e3", user="ann", when=at(1, 3), name="Report Shared")
    return lane


def lane_of_attribution() -> AttributionLane:
    """Return a lane of attribution with everything in it that a state record can hold."""
    lane = AttributionLane()
    lane.member("acme", at(0, 1))
    lane.member("globex", at(0, 3))
    lane.member("acme", at(0, 3), "u_staff", internal=True)
    lane.member("globex", at(0, 3), "u_staff", authority="OPERATOR")
    lane.link("NAMED", "u_lee", "acme", authority="BROWSER")
    lane.link("NAMED", "u_lee", "globex", authority="BROWSER")
    lane.same(when=at(0, 2), internal=True)
    lane.aliases(**{"crm-17": "acme"})
    lane.event("e1", "u_lee", at(0, 4), accepted_by="ingest-a-0", authority="SERVER")
    lane.event("e2", "u_anon-2", at(0, 5))
    lane.event("far", "u_jo", at(90))
    return lane


MAKERS = {"state_format": lane, "state_of_kinds": lane_of_kinds}


if __name__ == "__main__":
    path = HERE / f"attribution_state_{FORMAT}.json"
    if not path.exists():
        records = {key.decode("latin-1"): v.hex() for key, v in sorted(lane_of_attribution().state_records().items())}
        path.write_text(json.dumps(records, indent=1) + "\n", "utf-8")
    for name, make in MAKERS.items():
        for number in range(1, NEWEST + 1):
            path = HERE / f"{name}_{number}.json"
            if not path.exists():
                records = {key.decode("latin-1"): v.hex() for key, v in sorted(make(number).state_records().items())}
                path.write_text(json.dumps(records, indent=1) + "\n", "utf-8")
