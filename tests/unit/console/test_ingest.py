"""What the page of incoming data says in words of its chart."""

from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0, event
from tests.support.console import app_over
from tests.unit.console.test_pages import client_of


async def test_the_words_of_the_chart_count_all_that_its_columns_show() -> None:
    store = MemoryStore()
    store.insert("events", [event(number, f"e{number}", account="acme", received_at=T0) for number in range(2)])
    lost = "usage-unattributed"
    store.insert("events", [event(n, f"l{n}", topic=lost, account="", received_at=T0) for n in range(3)])
    async with client_of(app_over(store)) as client:
        page = (await client.get("/ingest")).text

    assert "Events by hour: at most 5, 5 in the hour that runs." in page
