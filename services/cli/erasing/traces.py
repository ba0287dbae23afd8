"""Who a command about a person or an account means, and what the warehouse and attribution have of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from services.cli.erasing.identities import identities, widened
from services.cli.local.own_secrets import existing_pseudonyms
from services.cli.local.stack_state import data_folder, reach
from services.shared.errors import Fatal, Retryable, TidemarkError
from services.shared.kafka.settings import KafkaSettings
from services.shared.pseudonyms import PSEUDONYM

_SEE_TO_IT = "Start it, or see `tidemark doctor`, and run the same command again"


class Subject(NamedTuple):
    """Whom a command means; one of both is given."""

    user: str
    """Pseudonym."""
    account: str
    linked: bool = False
    """Whether ids of the person are meant too that `alias` calls have linked."""


class QueryAccess(NamedTuple):
    """Where the warehouse is, and what it asks for."""

    address: str
    token: str | None


def pseudonym_of(user: str, data: Path | None, *, anonymous: bool) -> str:
    """
    Return the pseudonym of an id; one that is a pseudonym stays.

    Raises:
        Fatal: there is no key of the pseudonyms.
    """
    if not anonymous and PSEUDONYM.fullmatch(user):
        return user
    pseudonyms = existing_pseudonyms(data_folder(data))
    return pseudonyms.of_anonymous(user) if anonymous else pseudonyms.of(user)


async def all_traces(kafka: KafkaSettings, warehouse: QueryAccess, whom: Subject) -> dict[str, Any]:
    """Return the traces in the warehouse, and of a person what attribution knows beyond them."""
    await reach(kafka)
    traces = await warehouse_traces(warehouse, whom)
    if whom.account:
        return traces
    return await widened(
        traces,
        partial(identities, kafka),
        lambda user: warehouse_traces(warehouse, Subject(user, "", whom.linked)),
        partial(_user_id, warehouse),
        linked=whom.linked,
    )


async def warehouse_traces(warehouse: QueryAccess, whom: Subject) -> dict[str, Any]:
    """Return what the warehouse has of a person or an account, counted."""
    path = f"people/{whom.user}" if whom.user else f"accounts/{quote(whom.account, safe='')}"
    found: dict[str, Any] = (await _asked(warehouse, f"/v1/traces/{path}", linked=whom.linked)).json()
    return found


async def _user_id(warehouse: QueryAccess, user: str) -> str:
    """Return the user id of a pseudonym; the pseudonym where it is not known any more."""
    answer = await _asked(warehouse, f"/v1/people/{user}", may_be_unknown=True)
    return str(answer.json()["user_id"]) if answer.is_success else user


async def _asked(
    warehouse: QueryAccess, path: str, *, linked: bool = False, may_be_unknown: bool = False
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {warehouse.token}"} if warehouse.token else {}
    try:
        async with httpx.AsyncClient(base_url=warehouse.address, headers=headers, timeout=60.0) as client:
            answer = await client.get(path, params={"linked": "true"} if linked else {})
            if not (may_be_unknown and answer.status_code == httpx.codes.NOT_FOUND):
                answer.raise_for_status()
            return answer
    except httpx.HTTPStatusError as error:
        raise refused(warehouse, error.response) from error
    except httpx.HTTPError as error:
        raise Retryable(f"the warehouse at {warehouse.address}: it does not answer ({error}). {_SEE_TO_IT}") from error


def refused(warehouse: QueryAccess, answer: httpx.Response) -> TidemarkError:
    """Return what an answer says that is an error, and what to do about it."""
    if answer.is_server_error:
        return Retryable(
            f"the warehouse at {warehouse.address}: ClickHouse does not answer (status {answer.status_code}). {_SEE_TO_IT}"
        )
    if answer.status_code in (401, 403):
        what = "another token" if warehouse.token else "a token"
        return Fatal(
            f"the warehouse at {warehouse.address} asks who you are: set TIDEMARK_QUERY_TOKEN to {what};"
            " `tidemark tokens create` makes one"
        )
    return Fatal(
        f"{warehouse.address} answers with status {answer.status_code}: set TIDEMARK_WAREHOUSE_URL to the address of the"
        " warehouse, without a path"
    )
