"""What the documents say of ingest is what the code does."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from services.ingest.dialects.registry import every_route
from services.ingest.domain.webhooks.vendors import EVENTS
from services.ingest.errors import STATUS, Code
from services.ingest.settings import IngestSettings
from services.ingest.webhooks.endpoints import read


@pytest.fixture(scope="module")
def docs() -> Path:
    return Path(__file__).parents[3] / "docs"


def test_every_code_of_ingest_is_documented_and_no_other(docs: Path) -> None:
    section = (docs / "errors.md").read_text().partition("## Ingest")[2].partition("\n## ")[0]

    assert set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)) == {code.value for code in Code}


def test_the_documented_status_is_the_one_that_is_sent(docs: Path) -> None:
    section = (docs / "errors.md").read_text().partition("## Ingest")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \|", section, re.MULTILINE))

    assert documented == {code.value: str(status) for code, status in STATUS.items()}
    assert not any(300 <= status < 400 or status == 410 for status in STATUS.values())


def test_every_path_and_setting_is_documented(docs: Path) -> None:
    text, settings = (docs / "ingest.md").read_text(), (docs / "settings.md").read_text()

    for route in every_route().routes:
        assert f"`{re.sub(r'{(.*?)}', lambda name: name[1].upper(), route.path)}`" in text
    for field in IngestSettings.model_fields.values():
        assert f"`{field.validation_alias}`" in settings


def test_the_documented_webhooks_are_the_ones_that_are_taken(docs: Path) -> None:
    for vendor, events in EVENTS.items():
        table = (docs / "webhooks.md").read_text().partition(f"| event of {vendor.title()} | becomes |\n|---|---|\n")[2]
        rows = re.findall(r"^\| `(\S+)` \| (.*) \|$", table.partition("\n\n")[0], re.MULTILINE)

        assert dict(rows) == events


def test_the_documented_webhooks_file_is_one(docs: Path, tmp_path: Path) -> None:
    text = (docs / "webhooks.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "webhooks.yaml").touch(mode=0o600)
    (tmp_path / "webhooks.yaml").write_text(re.sub(r"\[(\S+?)\.\.\.\]", r"[\1-0123456789]", text))

    assert len(read(tmp_path / "webhooks.yaml")) == 3


def test_the_documented_webhook_is_of_now_so_that_it_counts(docs: Path) -> None:
    script = (docs / "webhooks.md").read_text().partition("## Try it\n\n```sh\n")[2].partition("curl ")[0]
    body = subprocess.run(["bash", "-c", script + 'printf %s "$BODY"'], stdout=subprocess.PIPE, check=True).stdout

    assert abs(json.loads(body)["event_data"]["created_at"] - time.time()) < 600
