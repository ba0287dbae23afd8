"""Bytes that a released version once wrote are read forever, and mean the same."""

import json
from pathlib import Path

import pytest

from schemas import codec, released

HERE = Path(__file__).parent
GOLDEN = sorted(HERE.glob("*/v*/*.hex"))


@pytest.mark.parametrize("path", [pytest.param(p, id=str(p.relative_to(HERE))) for p in GOLDEN])
def test_bytes_of_a_released_version_keep_their_meaning(path: Path) -> None:
    written = json.loads(path.with_suffix(".json").read_text("utf-8"))
    if path.parent.parent.name == "dead_letter":
        written["original"] = written["original"].encode("latin-1")

    record, value = codec.decode(bytes.fromhex(path.read_text()))

    assert record == path.parent.parent.name
    assert {name: value[name] for name in written if name in value} == {
        name: written[name] for name in written if name in value
    }
    assert set(value) & set(written)


def test_every_released_version_has_golden_bytes() -> None:
    assert {str(p.parent.relative_to(HERE)) for p in GOLDEN} == {f"{f.record}/v{f.version}" for f in released.FILES}
