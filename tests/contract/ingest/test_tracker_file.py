"""The tracker as ingest serves it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from services.cli.pages.tracker import current
from services.ingest.dialects.tracker import FOLDER, NEWEST, builds

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUILT = (FOLDER / "t.js").read_bytes()
ADDRESSES = {"/t.js": "public, max-age=300", f"/t/{NEWEST.hash}.js": "public, max-age=31536000, immutable"}


@pytest.mark.parametrize("path", ADDRESSES)
@pytest.mark.parametrize("encoding", ["identity", "gzip, deflate, br"])
async def test_the_script_is_served_to_every_origin(ingest: Any, path: str, encoding: str) -> None:
    answer = await ingest.client.get(path, headers={"Origin": "https://app.example", "Accept-Encoding": encoding})

    assert (answer.status_code, answer.content) == (200, BUILT)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == ADDRESSES[path]
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert int(answer.headers["content-length"]) == len(BUILT if encoding == "identity" else gzip.compress(BUILT, 9))


async def test_a_cache_keeps_apart_what_differs(ingest: Any) -> None:
    """One that has the answer to a page without CORS must not give it to one with: the browser would refuse it."""
    answer = await ingest.client.get("/t.js")

    assert {"Origin", "Accept-Encoding"} <= {name.strip() for name in answer.headers["vary"].split(",")}


async def test_who_has_the_script_is_told_so(ingest: Any) -> None:
    first = await ingest.client.get("/t.js")
    tag = first.headers["etag"]

    same = await ingest.client.get("/t.js", headers={"If-None-Match": f'"other", W/{tag}'})
    other = await ingest.client.get("/t.js", headers={"If-None-Match": '"other"'})
    unpacked = await ingest.client.get("/t.js", headers={"If-None-Match": tag, "Accept-Encoding": "identity"})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert "content-length" not in same.headers
    assert (other.status_code, unpacked.status_code) == (200, 200)  # the tag is of one encoding


async def test_builds_of_earlier_releases_are_found_by_their_hashes(tmp_path: Path) -> None:
    for name, script in {"t.js": BUILT, "t-0.0.9.js": b"old()"}.items():
        (tmp_path / name).write_bytes(script)

    found = builds(tmp_path)

    assert {build.plain for build in found.values()} == {BUILT, b"old()"}
    assert found[NEWEST.hash].integrity == NEWEST.integrity


async def test_a_build_that_is_not_here_is_named_as_such(ingest: Any) -> None:
    answer = await ingest.client.get("/t/0123456789abcdef.js")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert NEWEST.hash in answer.json()["message"]


async def test_the_script_is_asked_for_with_head_and_not_with_post(ingest: Any) -> None:
    head = await ingest.client.head("/t.js")
    post = await ingest.client.post("/t.js")

    assert (head.status_code, head.content) == (200, b"")
    assert (post.status_code, post.headers["allow"]) == (405, "GET, OPTIONS")


async def test_the_document_names_the_newest_build(project_root: Path) -> None:
    text = (project_root / "docs/tracker.md").read_text()

    assert f'/t/{NEWEST.hash}.js" integrity="{NEWEST.integrity}"' in text
    assert current(text) == text
