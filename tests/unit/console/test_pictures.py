"""The pictures of the README: there, small, and written again only where what they show has changed."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.bench.console.pictures import FOLDER, MOST_BYTES, keep, pictures, small

ROOT = Path(__file__).parents[3]


def png(colour: tuple[int, int, int]) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (40, 20), colour).save(made, "PNG")
    return made.getvalue()


def test_each_picture_that_the_readme_shows_is_one_that_is_taken_and_is_small() -> None:
    shown = set(re.findall(r"!\[[^\]]+\]\((docs/pictures/[^)]+)\)", (ROOT / "README.md").read_text()))
    taken = {str(FOLDER / f"{each.name}.png") for each in pictures()}

    assert shown
    assert shown <= taken
    assert {name for name in taken if not 0 < (ROOT / name).stat().st_size <= MOST_BYTES} == set()


def test_a_picture_that_shows_the_same_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "today.png"

    assert keep(file, small(png((10, 20, 30))))
    assert not keep(file, small(png((10, 20, 30))))
    assert keep(file, small(png((200, 20, 30))))


def test_a_picture_that_cannot_be_made_small_is_refused() -> None:
    noise = Image.effect_noise((1280, 800), 100).convert("RGB")
    made = io.BytesIO()
    noise.save(made, "PNG")

    with pytest.raises(RuntimeError, match="64 colours"):
        small(made.getvalue())
