"""Charts are well-formed SVG that says in words what it shows, whatever is put into it."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from services.console import charts
from services.console.charts.drawing import nice_top
from services.console.charts.scatter import LINKED, Mark
from services.console.charts.sparkline import scores

HOSTILE = [
    "</svg><script>alert(1)</script>",
    '" onload="alert(1)',
    "'; DROP TABLE x;--",
    "اسم \u202e",
    "😀" * 20,
    "a/b?c=%2F#d",
    "x" * 10_240,
]


def week(score: float, band: str = "GREEN") -> dict[str, Any]:
    return {"day": "2026-01-01", "score": score, "band": band}


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def path_of(svg: str, class_: str) -> str:
    return next(each.attrib["d"] for each in parsed(svg).iter() if each.attrib.get("class") == class_)


def test_a_sparkline_ends_with_the_band_of_its_last_week() -> None:
    svg = charts.sparkline([week(80), week(60, "YELLOW"), week(20, "RED")], "from 80 to 20")

    assert parsed(svg).attrib["aria-label"] == "from 80 to 20"
    assert parsed(svg).attrib["role"] == "img"
    assert [each.attrib["class"] for each in parsed(svg)][-1] == "dot-red"
    assert path_of(svg, "spark-line").count("L") == 2


def test_weeks_without_a_score_are_gaps() -> None:
    weeks = [week(80), None, week(70), {"day": "2026-01-01", "score": 12.0, "band": "LEARNING"}, week(60)]

    assert path_of(charts.sparkline(weeks, ""), "spark-line").count("M") == 3
    assert scores(weeks) == [80, 70, 60]


@pytest.mark.parametrize("weeks", [[], [None] * 30, [week(50)], [week(-5), week(500)]])
def test_few_or_odd_weeks_are_drawn_within_the_picture(weeks: list[Any]) -> None:
    svg = charts.sparkline(weeks, "x")

    for each in parsed(svg).iter():
        assert 0 <= float(each.attrib.get("cy", 0)) <= 28


def test_layers_stand_on_each_other_up_to_a_round_number() -> None:
    svg = charts.layers(
        ["2026-01-01", "2026-01-08"],
        {"GREEN": [10, 20], "RED": [0, 5], "YELLOW": [0, 0]},
        "x",
        amount=str,
        day=str,
        name=str.title,
    )
    classes = [each.attrib.get("class") for each in parsed(svg)]

    assert "area-green" in classes
    assert "area-red" in classes
    assert "area-yellow" not in classes
    assert "30.0" in [each.text for each in parsed(svg)]


def test_layers_and_columns_of_nothing_are_drawn_empty() -> None:
    parsed(charts.layers([], {}, "x", amount=str, day=str, name=str))
    parsed(charts.columns([], [], "x", amount=str, hour=str))
    parsed(charts.columns(["h"], [("fill", [0])], "x", amount=str, hour=str))
    parsed(charts.scatter([], "x", amount=str))
    parsed(charts.bars([], "x"))


def test_columns_of_two_layers_do_not_overlap() -> None:
    svg = charts.columns(["a", "b"], [("low", [3, 0]), ("high", [1, 4])], "x", amount=str, hour=str)

    top_of_low = float(path_of(svg, "low").split("h")[0].split(" ")[1])
    first_of_high = path_of(svg, "high").split("z")[0]
    top_of_high, height = (
        float(first_of_high.split("h")[0].split(" ")[1]),
        float(first_of_high.split("v")[1].split("h")[0]),
    )
    assert top_of_high + height == pytest.approx(top_of_low, abs=0.2)


def test_the_largest_accounts_are_links_and_the_others_are_marks_alone() -> None:
    marks = [Mark(50, 1000.0 + n, "RED", f"a{n}", f"/accounts/a{n}") for n in range(LINKED + 40, 0, -1)]
    tree = parsed(charts.scatter(marks, "x", amount=str))

    assert len([each for each in tree if each.tag == "a"]) == LINKED
    crowd = next(each for each in tree if each.attrib.get("class") == "crowd-red")
    assert crowd.attrib["d"].count("M") == 40


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name: str) -> None:
    svg = charts.scatter([Mark(10, 500.0, "RED", name, "/accounts/x")], name, amount=lambda _: name)
    tree = parsed(svg)

    assert tree.attrib["aria-label"] == name
    assert {each.tag for each in tree.iter()} == {"svg", "path", "text", "a", "title"}
    assert not [key for each in tree.iter() for key in each.attrib if key.startswith("on")]


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (1, 1), (7, 8), (10, 10), (11, 12), (640_000, 800_000), (0.03, 0.03)]
)
def test_an_axis_ends_at_a_round_number_that_is_not_below(value: float, top: float) -> None:
    assert nice_top(value) == pytest.approx(top)
