"""The page about measures says what their records say."""

from pathlib import Path

from schemas.measures import MEASURES
from services.cli.pages.measures import PAGE, page


def test_the_page_is_up_to_date(project_root: Path) -> None:
    assert (project_root / PAGE).read_text("utf-8") == page(), "run: make docs"


def test_every_measure_is_on_the_page_with_its_meaning() -> None:
    text = page()

    assert [name for name, each in MEASURES.items() if f"| `{name}` |" not in text or each.meaning not in text] == []
