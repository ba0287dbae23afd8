"""What services that are ready have put off nevertheless, or never seen: events to be sent again, records that are gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from services.shared.counts import counted

_EXPIRED, _GAPS = "tidemark_warehouse_expired_total", "tidemark_engine_gaps_total"
_BROKEN = "tidemark_warehouse_lost_parts"
_CHANGED, _TORN = "tidemark_engine_topic_changed", "tidemark_engine_torn_transactions_total"


def put_off(ingest: str) -> str:
    """Say whether ingest takes all events, though it is ready: it lists what it puts off."""
    from services.cli.local.readiness import told

    slow = told(ingest).get("slow", ())
    if slow:
        raise OSError(f"events that go there are put off (429): {'; '.join(slow)}")
    return "ingest puts nothing off"


def lost(addresses: Mapping[str, str]) -> str:
    """Say whether records were deleted before services had read them, or rows are gone, as far as the processes that run have noticed."""
    import httpx

    from services.cli.local.metrics_page import metrics_of

    expired: Counter[str] = Counter()
    gaps, broken = [], []
    for name, address in addresses.items():
        with suppress(httpx.HTTPError):  # whether it answers is another line
            for each in metrics_of(address, {_EXPIRED, _GAPS, _BROKEN}):
                if each.name == _BROKEN:
                    broken.append(f"{counted(int(each.value), 'broken part')} of its table {each.labels['table']}")
                    continue
                topic = each.labels["topic"]
                if each.name == _EXPIRED:
                    expired[topic] += int(each.value)
                elif each.value:
                    gaps.append(f"{name} went over a gap in {topic}/{each.labels['partition']}")
    said = [
        f"{counted(count, 'record')} of {topic} will never be in the warehouse"
        for topic, count in expired.items()
        if count
    ]
    problems = []
    if said or gaps:
        problems.append(
            f"records were deleted before they were read, since these processes started: {'; '.join([*said, *gaps])}"
        )
    if broken:
        problems.append(
            f"the warehouse has lost the rows of {', '.join(broken)}, and no erasure reaches what is left of them:"
            " see docs/runbooks/TidemarkWarehouseRowsLost.md"
        )
    if problems:
        raise OSError("; ".join(problems))
    return "nothing was deleted before it was read, since these processes started"


def state(addresses: Mapping[str, str]) -> str:
    """Say whether somebody has changed topics while lanes ran, and whether all that lanes opened with was committed as one."""
    import httpx

    from services.cli.local.metrics_page import metrics_of

    changed: set[str] = set()
    torn = []
    for name, address in addresses.items():
        with suppress(httpx.HTTPError):  # whether it answers is another line
            for each in metrics_of(address, {_CHANGED, _TORN}):
                if not each.value:
                    continue
                if each.name == _CHANGED:
                    changed.add(f"{each.labels['topic']} ({each.labels['what']})")
                else:
                    torn.append(f"{each.labels['topic']}/{each.labels['partition']} before {name} opened it")
    problems = []
    if changed:
        problems.append(
            f"topics have changed under their lanes: {', '.join(sorted(changed))}; see docs/runbooks/TidemarkTopicChanged.md"
            " before you restart anything"
        )
    if torn:
        problems.append(
            f"a transaction was not committed as one: of {', '.join(torn)}; see docs/runbooks/TidemarkTransactionTorn.md"
        )
    if problems:
        raise OSError("; ".join(problems))
    return "topics are as lanes opened them"
