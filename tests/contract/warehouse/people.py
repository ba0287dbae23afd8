"""Jo, Kim and a visitor, as a store has them."""

from services.warehouse.domain.erasing import Erasure
from services.warehouse.domain.rows import Place, Row, row
from services.warehouse.ports import Store
from tests.contract.warehouse.stored import T0, event, example, health, signal

JO, OLD, OLDER, BEFORE, KIM, VISITOR, SOMEBODY = (
    "u_jo__________________",
    "u_old_________________",
    "u_older_______________",
    "u_before______________",
    "u_kim_________________",
    "u_visitor_____________",
    "u_8f2k1mXw0qLr5tYvZ3Nb",
)


def details(offset: int, user: str, user_id: str, anonymous_id: str = "", account: str = "acme") -> Row:
    value = example(
        "event_details/examples/track.json",
        event_id=f"e{offset}", user=user, user_id=user_id, anonymous_id=anonymous_id, account=account,
    )  # fmt: skip
    made = row(Place("usage-details", 0, offset, T0 + offset), "event_details", value)
    assert made is not None
    return made


def order(at: int = 1_000, user: str = "", account: str = "") -> Erasure:
    return Erasure(Place("usage-details", 0, at, T0 + at), user, SOMEBODY if user else "", account, T0 + at, "dpo")


def filled(store: Store) -> None:
    store.insert(
        "events", [event(1, "e1", user=JO), event(2, "e2", user=KIM), event(3, "e3", user=JO, account="globex")]
    )
    store.insert("events", [event(4, "e4", user=VISITOR, account="", topic="usage-unattributed")])
    store.insert(
        "event_details",
        [
            details(1, JO, "jo@acme.com", "browser-1"),
            details(2, KIM, "kim@acme.com", "browser-2"),
            details(3, JO, "jo@acme.com", account="globex"),
            details(4, VISITOR, "", "browser-1", account=""),
        ],
    )
    store.insert("account_health", [health(1, "acme", lowest_user=JO), health(2, "globex", lowest_user=KIM)])
    store.insert("signals", [signal(1, "acme", "nps", 1, "FIRING", summary=f"{JO} answered 2")])


def of_the_log(rows: dict[str, int]) -> dict[str, int]:
    """Return the numbers of rows without those of tables that only ClickHouse makes of others."""
    return {table: count for table, count in rows.items() if table in ("events", "event_details", "people")}


def rows_of(store: Store) -> dict[str, int]:
    return {each["topic"]: each["rows"] for each in store.totals()}
