"""
Erasures on their way from the log into the store: noted first, then withheld from what is read later, then carried out.

An order is noted before the rows that are read with it, so that no crash between the two forgets it, and carried out after
them. One that was not carried out before a crash is at the next start.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from services.warehouse.domain.erasing import Erasure, Withheld
from services.warehouse.domain.rows import Place, Row
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.ports import FillingStore

log = logging.getLogger(__name__)


class Erasing:
    """The erasures of one store. Calls come from one thread at a time; each may raise Retryable, and be repeated then."""

    def __init__(self, store: FillingStore, metrics: WarehouseMetrics) -> None:
        """Know nothing yet: call `learn` before anything is stored."""
        self._store = store
        self._metrics = metrics
        self._withheld = Withheld(())
        self._known: set[Place] = set()
        self._pending: list[Erasure] = []

    def learn(self) -> None:
        """Read the erasures that the store knows."""
        known = self._store.erasures()
        self._withheld = Withheld(known)
        self._known = {order.place for order in known}
        self._pending = [order for order in known if not order.done]

    def note(self, orders: Sequence[Erasure]) -> None:
        """Take in the orders of a batch; one that is read again is not carried out again."""
        new = [order for order in orders if order.place not in self._known and self._names_somebody(order)]
        self._store.note_erasures(new)
        for order in new:
            self._withheld.add(order)
            self._known.add(order.place)
            self._pending.append(order)

    def _names_somebody(self, order: Erasure) -> bool:
        """Events without an account are stored under an empty one: an order of nobody must not be one of theirs."""
        if order.user or order.account:
            return True
        log.error(
            "erasure_of_nobody",
            extra={"topic": order.place.topic, "partition": order.place.partition, "offset": order.place.offset},
        )
        return False

    def stored(self, table: str, rows: Sequence[Row]) -> Sequence[Row]:
        """Return those rows of a batch that are to be stored, as they are to be stored."""
        return self._withheld.stored(table, rows)

    def apply(self) -> bool:
        """Carry out what is pending, each order once; return whether there was any."""
        pending = bool(self._pending)
        while self._pending:
            order = self._pending[0]
            self._store.note_positions(self._store.positions())
            removed = self._store.erase(order)
            self._store.note_erasures([order._replace(done=True, removed=removed)])
            self._pending.pop(0)
            what = "person" if order.user else "account"
            self._metrics.erasures.labels(what).inc()
            log.info("erased", extra={"what": what, "by": order.by, "rows": removed})
        return pending
