"""The records of the measures: numbers stay, and a slip of the pen is found when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas import measures
from schemas.measures import MEASURES, name_of, named, numbered

RELEASED = Path(__file__).parent / "measure_numbers.txt"
"""Name and number of every measure there ever was; only to be added to."""

RECORD = """
name: {name}
number: {number}
label: Something
meaning: Something.
dimension: usage
unit: count
polarity: neutral
needs: [counts.active]
"""


def test_a_number_stands_for_one_measure_for_ever() -> None:
    lines = [line.rpartition(" ") for line in RELEASED.read_text("utf-8").splitlines()]
    once = {int(number): name for name, _, number in lines}
    now = {each.number: name for name, each in MEASURES.items() if each.number}

    assert len(once) == len(lines), "a number stands twice"
    assert {number: name for number, name in now.items() if once.get(number) != name} == {}, (
        f"add it to {RELEASED.name}"
    )


def test_measures_go_into_a_snapshot_and_come_out_by_name() -> None:
    values = {"level_4w": 0.4, "tickets_open": 3.0}

    carried = numbered(values)

    assert carried == {"numbers": [1, MEASURES["tickets_open"].number], "values": [0.4, 3.0]}
    assert named({"numbers": [*carried["numbers"], 9_999], "values": [*carried["values"], 1.0]}) == values
    assert (name_of(0), name_of(9_999)) == ("silence_cap", None)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (RECORD.format(name="other", number=900), "the file's must be the same"),
        (RECORD.format(name="mine", number=1), "1 is level_4w's already"),
        (RECORD.format(name="mine", number=0), "has a number from 1"),
        (RECORD.format(name="mine", number=900) + "weigth: 3\n", "weigth"),
        (RECORD.format(name="mine", number=900).replace("count", "pounds"), "pounds"),
        (RECORD.format(name="mine", number=900).replace("[counts.active]", "[]"), "name the state"),
        (RECORD.format(name="mine", number=900) + "evidence: {nothing: 1}\n", "there is no such measure"),
        (RECORD.format(name="mine", number=900) + "evidence: {level_4w: 1}\n", "needs no evidence itself"),
    ],
)
def test_a_record_with_a_slip_is_refused_with_its_place(
    record: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in measures.ROOT.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "mine.yaml").write_text(record, "utf-8")
    monkeypatch.setattr(measures, "ROOT", tmp_path)

    with pytest.raises(ValueError, match=r"mine") as caught:
        measures._load()

    assert problem in str(caught.value)
