"""The tables in docs/engine.md name tests and modules that exist, every module of the engine, and the life of a lane."""

from __future__ import annotations

import re
from pathlib import Path

from services.shared.engine.lane.states import MOVES, PHASES


def test_every_test_that_the_document_names_exists(project_root: Path) -> None:
    named = set(re.findall(r"`(test_[a-z_0-9]+)`", (project_root / "docs" / "engine.md").read_text()))
    written = {
        name
        for folder in ("*/engine", "integration/shared/kafka")
        for file in (project_root / "tests").glob(f"{folder}/test_*.py")
        for name in re.findall(r"def (test_[a-z_0-9]+)\(", file.read_text())
    }

    assert len(named) > 40
    assert named <= written, sorted(named - written)


def test_every_module_of_the_engine_stands_in_the_table_of_the_document(project_root: Path) -> None:
    named, room = set(), ""
    text = (project_root / "docs" / "engine.md").read_text()
    table = text.partition("| room | module |")[2].partition("\n\n")[0]
    for of_room, modules in re.findall(r"^\|([^|]*)\|([^|]*)\|", table, re.MULTILINE):
        room = "".join(re.findall(r"`(\w+/)`", of_room)) or room
        named |= {room + name for name in re.findall(r"`(\w+\.py)`", modules)}
    folder = project_root / "services" / "shared" / "engine"
    written = {str(file.relative_to(folder)) for file in folder.rglob("[!_]*.py")}

    assert sorted(named) == sorted(written)


def test_the_states_and_moves_of_a_lane_are_those_of_the_document(project_root: Path) -> None:
    text = (project_root / "docs" / "engine.md").read_text()
    life = text.partition("## The life of a lane")[2].partition("\n## ")[0]
    phases = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", life, re.MULTILINE))
    rows = re.findall(r"^\| `(\w+)` \| (`\w+` → .*) \|$", life, re.MULTILINE)
    moves = {state: dict(re.findall(r"`(\w+)` → `(\w+)`", row)) for state, row in rows}

    assert phases == {state.value: phase.value for state, phase in PHASES.items()}
    assert moves == {state.value: {event.value: to.value for event, to in row.items()} for state, row in MOVES.items()}
