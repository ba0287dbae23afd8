"""What the API tells of an erasure while it is carried out."""

from __future__ import annotations

from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette

from services.warehouse.domain.erasing import Erasure, Traces
from services.warehouse.domain.rows import Place
from services.warehouse.http.erasing import erasing_routes
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0
from tests.contract.warehouse.stored import event as stored_event


async def test_rows_that_an_erasure_removes_meanwhile_are_not_told_as_left_by_it() -> None:
    class ErasedMeanwhile(MemoryStore):
        """The erasure is carried out between the two questions that the API asks, whichever comes first."""

        asked = False

        def erasures(self) -> list[Erasure]:
            found = super().erasures()
            self._meanwhile()
            return found

        def traces(self, *, user: str = "", account: str = "", linked: bool = False) -> Traces:
            found = super().traces(user=user, account=account, linked=linked)
            self._meanwhile()
            return found

        def _meanwhile(self) -> None:
            if not self.asked:
                self.asked = True
                self.note_erasures([given._replace(done=True, removed=self.erase(given))])

    given = Erasure(Place("usage-details", 0, 1_000, T0 + 1_000), "", "", "acme", T0, "dpo")
    store = ErasedMeanwhile()
    store.insert("events", [stored_event(1, "e1", account="acme")])
    store.note_erasures([given])
    app = Starlette(routes=erasing_routes(lambda: store))

    async with AsyncClient(transport=ASGITransport(app), base_url="http://warehouse") as client:
        told = (await client.get("/v1/traces/accounts/acme")).json()

    assert not (told["rows"] and told["erasures"][-1]["done"])


async def test_traces_of_no_account_are_not_those_of_all_events_without_one() -> None:
    store = MemoryStore()
    store.insert("events", [stored_event(1, "e1", account="", user="")])
    app = Starlette(routes=erasing_routes(lambda: store))

    async with AsyncClient(transport=ASGITransport(app), base_url="http://warehouse") as client:
        answer = await client.get("/v1/traces/accounts/")

    assert (answer.status_code, answer.json()["field"]) == (400, "account")
