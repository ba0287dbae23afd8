"""What a page shows beside its own matter, and does without where it is not known soon."""

from __future__ import annotations

import asyncio
import logging

from services.console.api_client import Api, ApiError, Told

log = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""So long a page waits for it."""


async def told_soon(api: Api, path: str) -> Told | None:
    """
    Return the answer to a GET as it was at most some minutes ago.

    None where the API does not say it soon: the page has other things to tell, and its next reader has it.
    """
    try:
        return await asyncio.wait_for(api.get_recent(path), PATIENCE_S)
    except (ApiError, TimeoutError) as error:
        log.warning("not_told_beside", extra={"path": path, "error": str(error) or "no answer yet"})
        return None
