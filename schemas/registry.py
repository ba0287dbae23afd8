"""
Schema ids from a schema registry instead of from the lock.

With SCHEMA_REGISTRY_URL set, a service calls `connect_registry` once at its start, before it reads or writes a
record. Subjects follow the record-name strategy, because usage-events carries more than one record.
"""

from __future__ import annotations

from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from schemas import codec, released

_TIMEOUT_S = 10.0


class RegistryError(RuntimeError):
    """The registry refuses a schema, or cannot be reached within the time given."""


def connect_registry(url: str, *, patience_s: float = 60.0, transport: httpx.BaseTransport | None = None) -> None:
    """
    Look up every schema file in the registry, register what it does not have, and use its ids from here on.

    Args:
        url: Base address; a user name and password in it are sent as basic authentication.
        patience_s: For how many seconds to try again while the registry cannot be reached.
        transport: Another way to send requests than over the network.

    Raises:
        RegistryError: what the registry answered and what to do. The ids in use are then the former ones.
    """
    ids: dict[str, int] = {}
    with httpx.Client(base_url=url.rstrip("/"), timeout=_TIMEOUT_S, transport=transport) as client:
        for file in released.FILES:
            body = {"schema": file.text, "schemaType": "AVRO"}
            answer = _post(client, f"/subjects/{file.subject}", body, patience_s)
            if answer.status_code == httpx.codes.NOT_FOUND:
                answer = _post(client, f"/subjects/{file.subject}/versions", body, patience_s)
            ids[file.path] = _id_in(answer, file)
    codec.use_ids(ids)


def _post(client: httpx.Client, path: str, body: dict[str, Any], patience_s: float) -> httpx.Response:
    attempts = Retrying(
        retry=retry_if_exception_type((httpx.TransportError, _Unavailable)),
        stop=stop_after_delay(patience_s),
        wait=wait_exponential_jitter(multiplier=0.2, max=5.0),
        reraise=True,
    )
    try:
        return attempts(_post_once, client, path, body)
    except (httpx.TransportError, _Unavailable) as error:
        address = client.base_url.netloc.decode()  # without the password
        raise RegistryError(f"schema registry at {address}: {error}; check SCHEMA_REGISTRY_URL") from error


class _Unavailable(Exception):
    pass


def _post_once(client: httpx.Client, path: str, body: dict[str, Any]) -> httpx.Response:
    answer = client.post(path, json=body)
    if answer.is_server_error:
        raise _Unavailable(f"answered {answer.status_code}")
    return answer


def _id_in(answer: httpx.Response, file: released.SchemaFile) -> int:
    try:
        found = answer.json().get("id") if answer.is_success else None
    except ValueError:
        found = None
    if not isinstance(found, int):
        raise RegistryError(
            f"schema registry: {file.subject} version {file.version} was answered with {answer.status_code} "
            f"{answer.text[:200]}; check the subject's compatibility and the rights of this user"
        )
    return found
