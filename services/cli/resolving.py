"""
What an operator says about users: links of the highest authority, and the events of these users that were given up, once more.

What was said is withdrawn in the same way; events that were forwarded by it stay where they are. An event is sent in again only if it has not been before, so the command can be repeated, also after it was cut short.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from schemas import codec
from schemas.topics import DEAD_LETTERS, USAGE_UNATTRIBUTED
from services.backfill.rows import BadFile, line_of, undecodable
from services.cli.attribution_audit import GIVEN_UP, identity_of
from services.ingest.domain.limits import Limits
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import decoded, record_of, scan
from services.shared.kafka.settings import KafkaSettings
from services.shared.pseudonyms import PSEUDONYM, Pseudonyms

AT_ONCE = 1_000
"""Records sent before their acknowledgements are awaited."""
_LONGEST_ACCOUNT = Limits().id_chars
"""As ingest takes it."""
_link = codec.encoder("user_link")


class Resolved(NamedTuple):
    """What was written."""

    users: int
    events: int
    """Events that were given up and are sent in again."""
    before: int
    """Events that a former run had sent in again."""
    erased: int
    """Events that are not sent in again, since their user was erased after they were received."""


class Withdrawn(NamedTuple):
    """Of how many users something was taken back."""

    withdrawn: int
    nothing_said: int
    """Users of whom the log has no word of an operator that holds."""


def read_file(path: Path, pseudonyms: Pseudonyms) -> tuple[dict[str, str], list[str]]:
    """Return the account by pseudonym out of a CSV file with the columns user and account, and what is wrong with it."""
    accounts: dict[str, str] = {}
    rows, problems = _rows(path, "user", "account")
    for number, (user, account) in rows:
        if not user or not account:
            problems.append(f"line {number}: {'account' if user else 'user'} is empty")
        elif len(account) > _LONGEST_ACCOUNT:
            problems.append(f"line {number}: account is longer than {_LONGEST_ACCOUNT} characters")
        elif accounts.setdefault(_pseudonym(user, pseudonyms), account) != account:
            problems.append(f"line {number}: {user} has another account above; a user has one")
    return accounts, problems


def read_users(path: Path, pseudonyms: Pseudonyms) -> tuple[list[str], list[str]]:
    """Return the pseudonyms out of a CSV file with the column user, and what is wrong with it; other columns do not matter."""
    rows, problems = _rows(path, "user")
    problems += [f"line {number}: user is empty" for number, (user,) in rows if not user]
    return list(dict.fromkeys(_pseudonym(user, pseudonyms) for _, (user,) in rows if user)), problems


def _rows(path: Path, *columns: str) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """
    Return what the rows have in some columns, each with the number of its line, and which rows cannot be read.

    Raises:
        BadFile: none of it can be used.
    """
    try:
        return _read_rows(path, columns)
    except UnicodeDecodeError as error:
        raise undecodable(path) from error


def _read_rows(path: Path, columns: Sequence[str]) -> tuple[list[tuple[int, list[str]]], list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, strict=True)  # else a quote that is not closed takes the rest for its cell
        try:
            missing = sorted(set(columns) - set(rows.fieldnames or ()))
            if missing:
                raise BadFile(
                    f"{path}: there is no column {' and no column '.join(missing)}; the first line names the columns"
                )
            twice = sorted(name for name in columns if (rows.fieldnames or ()).count(name) > 1)
            if twice:
                raise BadFile(f"{path}: more than one column is named {twice[0]}: give the others another name")
            found: list[tuple[int, list[str]]] = []
            problems: list[str] = []
            before = rows.line_num
            for row in rows:
                line = line_of(before, rows.line_num, row)
                before = rows.line_num
                if None in row:  # a comma in a name that is not quoted: what stands before it is another name
                    problems.append(f"line {line}: it has more cells than the first line has columns")
                else:
                    found.append((line, [(row[column] or "").strip() for column in columns]))
            return found, problems
        except csv.Error as error:
            line = rows.line_num + 1
            raise BadFile(f"{path}, line {line}: {error}: is a quote opened and not closed?") from error


def _pseudonym(user: str, pseudonyms: Pseudonyms) -> str:
    return user if PSEUDONYM.fullmatch(user) else pseudonyms.of(user)


async def resolve(kafka: KafkaSettings, accounts: Mapping[str, str]) -> Resolved:
    """Write that users, given by their pseudonyms, belong to accounts, and send in again what was given up of them."""
    now_ms = time.time_ns() // 1_000_000
    async with producer(kafka, linger_ms=5) as out:
        await _send(kafka, out, ((user, _link(_said(user, accounts[user], now_ms))) for user in sorted(accounts)))
        given_up, erased = await _given_up(kafka, accounts)
        before = await _sent_again(kafka, given_up.keys()) if given_up else set()
        again = [event for identity, event in given_up.items() if identity not in before]
        await _send(kafka, out, ((event["user"], encode(event)) for event, encode in again))
    return Resolved(len(accounts), len(again), len(before), erased)


async def withdraw(kafka: KafkaSettings, users: Iterable[str]) -> Withdrawn:
    """Write that what an operator has said of users, given by their pseudonyms, does not hold any more."""
    now_ms = time.time_ns() // 1_000_000
    wanted = set(users)
    said = await _said_before(kafka, wanted)
    async with producer(kafka, linger_ms=5) as out:
        # For those of whom the log has nothing too: what was said may be older than the log.
        await _send(kafka, out, ((user, _link(_said(user, "", now_ms))) for user in sorted(wanted)))
    return Withdrawn(len(said), len(wanted) - len(said))


async def _said_before(kafka: KafkaSettings, users: Collection[str]) -> set[str]:
    """Return those users of whom an operator has said something that holds, as far back as the log goes."""
    found: set[str] = set()
    async for record in scan(kafka, USAGE_UNATTRIBUTED):
        if record_of(record.value) == "user_link":
            _, link = decoded(record.value)
            if link and link["user"] in users and link["authority"] == "OPERATOR":
                (found.add if link["kind"] == "MEMBER" else found.discard)(link["user"])
    return found


def _said(user: str, account: str, now_ms: int) -> dict[str, Any]:
    """Return the link that a user belongs to an account, or to none by an operator's word any more."""
    return {
        "kind": "MEMBER" if account else "WITHDRAWN",
        "user": user,
        "identified": True,
        "account": account,
        "authority": "OPERATOR",
        "via": "OPERATOR" if account else "UNKNOWN",
        "source": "operator",
        "environment": "production",
        "occurred_at": 0,  # for all that the user has ever done
        "received_at": now_ms,
    }


async def _given_up(
    kafka: KafkaSettings, accounts: Mapping[str, str]
) -> tuple[dict[int, tuple[dict[str, Any], Any]], int]:
    """Return the events of the users that are on the dead letters, as they are to be sent again, by their identity then; and how many are left out, since their user was erased."""
    found: dict[int, tuple[dict[str, Any], Any]] = {}
    at: dict[int, int] = {}
    erased: dict[str, int] = {}
    async for record in scan(kafka, DEAD_LETTERS):
        name, letter = decoded(record.value)
        if name == "erasure" and letter["user"] in accounts:
            erased[letter["user"]] = max(record.timestamp, erased.get(letter["user"], -1))
        if name != "dead_letter" or letter["by"] != "scorer" or letter["reason"] not in GIVEN_UP:
            continue
        kind, event = decoded(letter["original"])
        if kind == "usage_event" and event["user"] in accounts:
            event["forwards"] += 1
            version = codec.version_of(letter["original"])
            found[_identity(event)] = (event, codec.encoder("usage_event", version))
            at[_identity(event)] = min(record.timestamp, event["received_at"])  # it may have waited through the erasure
    stay = {identity: again for identity, again in found.items() if at[identity] > erased.get(again[0]["user"], -1)}
    return stay, len(found) - len(stay)


async def _sent_again(kafka: KafkaSettings, wanted: Iterable[int]) -> set[int]:
    """Return those identities that are on usage-unattributed."""
    left, found = set(wanted), set()
    async for record in scan(kafka, USAGE_UNATTRIBUTED):
        if record_of(record.value) == "usage_event":
            _, event = decoded(record.value)
            if event and event["forwards"] and _identity(event) in left:
                found.add(_identity(event))
    return found


def _identity(event: Mapping[str, Any]) -> int:
    return identity_of(event["source"], event["user"], event["event_id"], event["forwards"])


async def _send(kafka: KafkaSettings, out: AIOKafkaProducer, records: Iterable[tuple[str, bytes]]) -> None:
    sent = []
    for user, value in records:
        sent.append(await out.send(kafka.scoped(USAGE_UNATTRIBUTED), value, user.encode()))
        if len(sent) >= AT_ONCE:
            for each in sent:
                await each
            sent = []
    for each in sent:
        await each
