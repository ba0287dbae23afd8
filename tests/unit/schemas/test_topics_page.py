"""The page about topics says what the records say."""

from pathlib import Path

from schemas import released
from schemas.topics import TOPICS
from schemas.topics_page import PAGE, page


def test_the_page_is_up_to_date(project_root: Path) -> None:
    assert (project_root / PAGE).read_text("utf-8") == page(), "run: python -m schemas.topics_page"


def test_every_topic_and_record_is_on_the_page() -> None:
    text = page()

    assert [name for name in TOPICS if f"| `{name}` |" not in text] == []
    assert [record for record in released.RECORDS if f"### {record}\n" not in text] == []
