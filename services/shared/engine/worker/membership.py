"""
Which worker this is, and whether another process goes by the same name.

A static member id (group, host name, slot) lets a restarted worker take its own place in the group at once. Two live
processes with one id would take it from each other for ever: the broker gives it to whoever joined last, and aiokafka
0.14 does not know FENCED_INSTANCE_ID but joins again. So a process looks before each join who holds the id:

- itself, or a former life of itself (the same identity, kept in the data folder): join;
- someone else, before the first join: its holder may be dead, so wait for as long as its session may last; one that
  is still there then is alive, and this process is refused;
- someone else, later: it has joined since, so this process is the one to leave.

Before the first join the client id tells, as the broker shows it for each member: it has the identity and the session
timeout. Afterwards the member id does: the broker goes on to show the client id of a member that was replaced, be it a
former life of this process or another. A lock in the data folder refuses a second process there without any broker.

Who loses its place between asking to join and its assignment is told FENCED_INSTANCE_ID. aiokafka takes that for an
unknown error and stays out of the group until somebody reads it, which nobody does without an assignment: the process
ends, and what a new one finds decides.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import secrets
import socket
import time
from collections import deque
from typing import NamedTuple

from aiokafka.errors import GroupAuthorizationFailedError, InvalidSessionTimeoutError, KafkaError, for_code

from services.shared.engine.errors import FailStop, InstanceTaken
from services.shared.engine.settings import EngineSettings
from services.shared.errors import Misfit
from services.shared.files.data_folder import using
from services.shared.kafka.clients import admin
from services.shared.kafka.group_offsets import hidden
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings

log = logging.getLogger(__name__)

_UUID_CHARACTERS = 36
_MARGIN_S = 2.0
"""How much later than its last possible heartbeat's end a dead member may still be shown."""
_LOOK_EVERY_S = 0.25
_LOOK_WITHIN_S = 3.0
_ASK_FOR_S = 30.0
_MEMBER_IDS = 16
"""The most member ids of its own that a process remembers: it gets a new one only after the broker has forgotten it."""


class Holder(NamedTuple):
    """The member that holds an instance id; identity and session as its client id tells, empty for one of another kind."""

    member_id: str
    identity: str
    session_s: float
    host: str


class Membership:
    """One worker's place in its group."""

    def __init__(self, kafka: KafkaSettings, group: str, engine: EngineSettings, process: ProcessSettings) -> None:
        self._kafka = kafka
        self._group = kafka.scoped(group)
        self._session_s = engine.session_timeout_s
        self.instance = f"{self._group}-{engine.instance or f'{socket.gethostname()}-{process.slot}'}"
        """The group.instance.id."""
        self._file = process.data_dir / "members" / self.instance
        self._lock: int | None = None
        self._identity = ""
        self._mine: deque[str] = deque(maxlen=_MEMBER_IDS)
        """Member ids that this process has had, the latest last; empty before the first join."""

    @property
    def client_id(self) -> str:
        """The client id of the group's consumer; `take` comes first."""
        return f"tidemark.{self._identity}.{self._session_s * 1000:.0f}"

    def take(self) -> None:
        """
        Take the identity that the data folder keeps for this instance, a new one if none is there.

        Raises:
            InstanceTaken: another process of this folder runs by it.
            ConfigurationError, Fatal: the folder cannot be used.
        """
        with using(self._file.parent):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise InstanceTaken(self.instance, f"a process that uses {self._file.parent} too") from None
        except OSError as error:  # a file system without locks: the group tells two processes apart as well
            log.warning("no_file_locks", extra={"file": str(self._file), "error": repr(error)})
        self._lock = lock
        with using(self._file.parent):
            self._identity = _kept(lock) or _keep(lock, secrets.token_hex(8))

    def give_back(self) -> None:
        """Let another process of this folder have the instance."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def joined(self, member_id: str) -> None:
        """Note as whom this process is a member, if it is: from now on every other holder has come after it."""
        if member_id and member_id not in self._mine:
            self._mine.append(member_id)

    async def why(self, error: BaseException, member_id: str) -> BaseException:
        """Return with what a process ends whose client, last known as `member_id`, stays out of the group after `error`."""
        if isinstance(error, InvalidSessionTimeoutError):
            problem = (
                f"TIDEMARK_ENGINE_SESSION_TIMEOUT_S ({self._session_s:g}) is not what the brokers take: set it to between their"
                " group.min.session.timeout.ms and group.max.session.timeout.ms (6 and 1800 s by default)"
            )
            return Misfit([problem])
        try:
            await self.check(member_id)
        except InstanceTaken as taken:
            return taken
        return FailStop(f"the client takes no part in group {self._group} any more: {error}")

    async def wait_until_free(self) -> None:
        """
        Return when the instance id is held by nobody, or by a former life of this worker.

        Raises:
            InstanceTaken: another live process holds it.
            Misfit: the cluster does not let this process see the group.
        """
        deadline: float | None = None
        unknown_since = time.monotonic()
        while True:
            try:
                holder = await self._holder()
            except GroupAuthorizationFailedError as error:
                raise hidden(self._group) from error
            except (KafkaError, OSError, TimeoutError) as error:
                if time.monotonic() - unknown_since > _ASK_FOR_S:
                    log.warning("members_unknown", extra={"group": self._group, "error": repr(error)})
                    return  # it is looked for again before each join
                await asyncio.sleep(_LOOK_EVERY_S)
                continue
            if holder is None or not self._is_other(holder):
                return
            now = time.monotonic()
            if deadline is None:
                wait_s = max(self._session_s, holder.session_s) + _MARGIN_S
                deadline = now + wait_s
                log.warning(
                    "waiting_for_instance",
                    extra={"instance": self.instance, "holder": holder.host, "at_most_s": wait_s},
                )
            if now > deadline:
                raise InstanceTaken(self.instance, f"a live process at {holder.host}")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def check(self, member_id: str) -> None:
        """
        Look who holds the instance id before this worker joins again; if nobody can tell, it may.

        `member_id` is as whom it was known last.

        Raises:
            InstanceTaken: another process does.
        """
        self.joined(member_id)
        try:
            holder = await self._holder()
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("members_unknown", extra={"group": self._group, "error": repr(error)})
            return
        if holder is not None and self._is_other(holder):
            raise InstanceTaken(self.instance, f"a process at {holder.host} that has joined since")

    def _is_other(self, holder: Holder) -> bool:
        return holder.member_id not in self._mine if self._mine else holder.identity != self._identity

    async def _holder(self) -> Holder | None:
        async with asyncio.timeout(_LOOK_WITHIN_S), admin(self._kafka) as client:
            [response] = await client.describe_consumer_groups([self._group])
        [(code, _group, _state, _type, _protocol, members, *_)] = response.groups
        if code:
            raise for_code(code)(f"the members of group {self._group} are not told")
        for member_id, client_id, host, *_ in members:
            # The broker makes the member ids of an instance from its id and a UUID.
            if (
                member_id.startswith(f"{self.instance}-")
                and len(member_id) == len(self.instance) + 1 + _UUID_CHARACTERS
            ):
                return _read(member_id, client_id, host.lstrip("/"))
        return None


def _read(member_id: str, client_id: str, host: str) -> Holder:
    prefix, _, rest = client_id.partition(".")
    parts = rest.split(".")
    if prefix != "tidemark" or len(parts) != 2 or not parts[1].isdigit():
        return Holder(member_id, "", 0.0, host)
    return Holder(member_id, parts[0], int(parts[1]) / 1000, host)


def _kept(file: int) -> str:
    return os.pread(file, 64, 0).decode("ascii", "replace").strip()


def _keep(file: int, identity: str) -> str:
    os.pwrite(file, identity.encode(), 0)
    os.fsync(file)
    return identity
