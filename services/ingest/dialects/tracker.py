"""
The page tracker, as the script that pages load.

`/t.js` is the newest build and may be cached for minutes. `/t/HASH.js` is one build for good, for pages that name it
together with its integrity; builds of earlier releases lie in the folder beside the newest one. The answers are the
same for every origin, but say `Vary: Origin` to one that sends none too, since CORS adds a header to the others.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path

from services.ingest.dialects.route import About, HttpRoute
from services.ingest.errors import Code
from services.ingest.http.call import Call, Headers, Reply
from services.ingest.intake import EventIntake
from services.shared.errors import Rejected

FOLDER = Path(__file__).parents[1] / "tracker"
_TYPE = b"text/javascript; charset=utf-8"
_ALWAYS: Headers = [
    (b"vary", b"Accept-Encoding, Origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"cross-origin"),
]
_FOR_MINUTES: Headers = [(b"cache-control", b"public, max-age=300")]
_FOR_GOOD: Headers = [(b"cache-control", b"public, max-age=31536000, immutable")]


class Build:
    """One built file, as it is sent."""

    def __init__(self, script: bytes) -> None:
        self.plain = script
        self.packed = gzip.compress(script, 9, mtime=0)
        self.hash = hashlib.sha256(script).hexdigest()[:16]
        """Names the build in its address."""
        self.integrity = "sha384-" + base64.b64encode(hashlib.sha384(script).digest()).decode()
        """What a page gives as `integrity`."""

    def reply(self, call: Call, caching: Headers) -> Reply:
        """Return the file, packed for those who take gzip, or 304 for those who have it."""
        takes_gzip = "gzip" in call.header(b"accept-encoding").lower()
        tag = f'"{self.hash}-gz"' if takes_gzip else f'"{self.hash}"'
        headers = [(b"etag", tag.encode()), *caching, *_ALWAYS]
        if _names(call.header(b"if-none-match"), tag):
            return Reply(304, b"", _TYPE, headers)
        if takes_gzip:
            return Reply(200, self.packed, _TYPE, [(b"content-encoding", b"gzip"), *headers])
        return Reply(200, self.plain, _TYPE, headers)


def _names(if_none_match: str, tag: str) -> bool:
    """Return whether the header names a tag; a proxy may have made it a weak one."""
    given = (one.strip().removeprefix("W/") for one in if_none_match.split(","))
    return any(one in (tag, "*") for one in given)


def builds(folder: Path) -> dict[str, Build]:
    """Return the builds in a folder by their hashes."""
    return {build.hash: build for build in (Build(file.read_bytes()) for file in folder.glob("*.js"))}


NEWEST = Build((FOLDER / "t.js").read_bytes())
_BUILDS = builds(FOLDER)


async def _newest(call: Call, _: EventIntake) -> Reply:
    return NEWEST.reply(call, _FOR_MINUTES)


async def _one_build(call: Call, _: EventIntake) -> Reply:
    build = _BUILDS.get(call.params["hash"])
    if build is None:
        raise Rejected(
            Code.NOT_FOUND, "", f"there is no such build of the tracker; this release's is /t/{NEWEST.hash}.js"
        )
    return build.reply(call, _FOR_GOOD)


_ABOUT = About("The page tracker.", content_type="text/javascript", codes=(Code.NOT_FOUND,))

ROUTES = (
    HttpRoute("GET", "/t.js", "tracker", _newest, _ABOUT),
    HttpRoute("GET", "/t/{hash}.js", "tracker", _one_build, _ABOUT),
)
