"""
Add golden bytes for schema versions and examples that have none yet: `python tests/golden/schemas/renew.py`.

What is there is never written again: it stands for what is on the topics of deployments.
"""

import json
from io import BytesIO
from pathlib import Path

from fastavro import parse_schema, schemaless_writer

from schemas import codec, released

HERE = Path(__file__).parent


def main() -> None:
    """Write `<record>/v<n>/<example>.hex` and `.json`, both in the shape of that version."""
    for file in released.FILES:
        if any(f.record == file.record and f.version > file.version for f in released.FILES):
            continue  # examples are in the newest shape
        for example in sorted((released.ROOT / file.record / "examples").glob("*.json")):
            target = HERE / file.record / f"v{file.version}" / example.stem
            if target.with_suffix(".hex").exists():
                continue
            value = json.loads(example.read_text("utf-8"))
            if file.record == "dead_letter":
                value["original"] = value["original"].encode("latin-1")
            out = BytesIO(codec.MAGIC + file.lock_id.to_bytes(4, "big"))
            out.seek(0, 2)
            schemaless_writer(out, parse_schema(json.loads(file.text)), value)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.with_suffix(".hex").write_text(out.getvalue().hex() + "\n")
            target.with_suffix(".json").write_text(example.read_text("utf-8"), "utf-8")


if __name__ == "__main__":
    main()
