"""What templates call by name, which no type checker sees."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.console import rendering
from services.console.wording import Wording
from services.console.words.formats import Formats

TEMPLATES = Path(rendering.__file__).parent / "templates"


@pytest.mark.parametrize(("name", "kind"), [("w", Wording), ("f", Formats)])
def test_templates_use_only_words_and_formats_that_there_are(name: str, kind: type) -> None:
    texts = [path.read_text("utf-8") for path in TEMPLATES.rglob("*.jinja")]
    used = {found for text in texts for found in re.findall(rf"\b{name}\.([a-z_]+)\(", text)}

    assert len(used) > 5
    assert not [each for each in sorted(used) if not hasattr(kind, each)]
