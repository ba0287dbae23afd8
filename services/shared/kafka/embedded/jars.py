"""
The jars of the embedded broker: found by the lock file, fetched once, and never run unchecked.

Each jar is one line of `deploy/kafka/jars.lock` with its SHA-256. Jars live in the standard local Maven
repository. What was checked is remembered with size and modification time, so that a warm start reads no jar.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.shared.errors import Fatal


def deploy_folder() -> Path:
    """Return the folder with the lock file and the broker's logging configuration."""
    here = Path(__file__).resolve()
    for folder in (here.parents[4] / "deploy" / "kafka", here.parent / "deploy"):
        if (folder / "jars.lock").is_file():
            return folder
    raise Fatal("deploy/kafka/jars.lock is missing: the installation is incomplete, install Tidemark again")


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str

    def path(self, repository: Path) -> Path:
        """Return where a Maven repository keeps it."""
        folder = repository.joinpath(*self.group.split("."), self.artifact, self.version)
        return folder / f"{self.artifact}-{self.version}.jar"

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


Fetch = Callable[[Jar], Path]


def read_lock(file: Path) -> list[Jar]:
    """
    Return the jars of a lock file, in its order.

    Raises:
        Fatal: a line is not `group:artifact:version sha256:digest`.
    """
    jars = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        coordinates, _, digest = line.partition(" sha256:")
        parts = coordinates.split(":")
        if len(parts) != 3 or len(digest) != 64:
            raise Fatal(f"{file}:{number} is not 'group:artifact:version sha256:digest'")
        jars.append(Jar(parts[0], parts[1], parts[2], digest))
    return jars


def local_repository() -> Path:
    """Return the local Maven repository: M2_REPO, or the standard place in the home folder."""
    return Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")


def cache_folder() -> Path:
    """Return where Tidemark keeps what it can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidemark"


def ensure(
    lock: Path | None = None,
    repository: Path | None = None,
    cache: Path | None = None,
    fetch: Fetch | None = None,
    what: str = "Apache Kafka (about 45 MB, once)",
) -> list[Path]:
    """
    Return the paths of all jars, present and checked; fetch with a progress bar, which says `what`, those that are missing.

    Raises:
        Fatal: a jar cannot be fetched or has another hash than the lock file says; the text says what to do.
    """
    lock = lock or deploy_folder() / "jars.lock"
    repository = repository or local_repository()
    jars = read_lock(lock)
    paths = [jar.path(repository) for jar in jars]
    marker = _Marker((cache or cache_folder()) / "jars-checked.json")
    missing = [jar for jar, path in zip(jars, paths, strict=True) if not path.is_file()]
    if missing:
        _fetch_all(missing, fetch or _maven(repository), what)
    for jar, path in zip(jars, paths, strict=True):
        if not marker.knows(jar, path):
            _check(jar, path, just_fetched=jar in missing)
            marker.add(jar, path)
    marker.save()
    return paths


class _Marker:
    """Remembers which files had which hash, by size and modification time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._changed = False
        try:
            self._known: dict[str, str] = json.loads(file.read_text())
        except (OSError, ValueError):
            self._known = {}

    @staticmethod
    def _mark(jar: Jar, path: Path) -> str:
        stat = path.stat()
        return f"{jar.sha256} {stat.st_size} {stat.st_mtime_ns}"

    def knows(self, jar: Jar, path: Path) -> bool:
        return self._known.get(str(path)) == self._mark(jar, path)

    def add(self, jar: Jar, path: Path) -> None:
        self._known[str(path)] = self._mark(jar, path)
        self._changed = True

    def save(self) -> None:
        if not self._changed:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(self._known))
        draft.replace(self._file)


def _check(jar: Jar, path: Path, *, just_fetched: bool) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest == jar.sha256:
        return
    if just_fetched:
        path.unlink()
        hint = "it was removed again; the Maven repository in use serves another file than the one that was locked"
    else:
        hint = f"delete it and run the command again: rm '{path}'"
    raise Fatal(f"{path} has sha256 {digest}, but {jar} is locked to {jar.sha256}: {hint}")


def _maven(repository: Path) -> Fetch:
    from jgo.maven import MavenContext  # takes 0.3 s, and a warm start needs none of it

    url = os.environ.get("TIDEMARK_MAVEN_URL")
    context = MavenContext(repo_cache=repository, remote_repos={"central": url} if url else None, timeout=60)

    def fetch(jar: Jar) -> Path:
        artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
        return Path(artifact.resolve())

    return fetch


def _fetch_all(jars: Iterable[Jar], fetch: Fetch, what: str) -> None:
    wanted = list(jars)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("jars"), TimeElapsedColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar, ThreadPoolExecutor(8) as pool:
        task = bar.add_task(f"fetching {what}", total=len(wanted))

        def one(jar: Jar) -> None:
            try:
                fetch(jar)
            except Exception as error:  # jgo lets errors of several libraries through
                raise Fatal(
                    f"cannot fetch {jar}: {error}\n"
                    "Is this machine online? Behind a proxy set HTTPS_PROXY; for a mirror of Maven Central set"
                    " TIDEMARK_MAVEN_URL; to use a Kafka that you have set KAFKA_BOOTSTRAP_SERVERS."
                    " What was fetched already is kept: run the command again."
                ) from error
            bar.advance(task)

        # list(): re-raise the first failure; the others are done or failing the same way.
        list(pool.map(one, wanted))


if __name__ == "__main__":
    print(f"{len(ensure())} jars are present and checked")
