"""No jar runs unchecked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.shared.errors import Fatal
from services.shared.kafka.embedded.jars import Jar, deploy_folder, ensure, read_lock


class Repository:
    """A Maven repository in a folder, with a remote one behind it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fetched: list[str] = []
        self.content = b"a jar"
        self.lock = root / "jars.lock"
        digest = hashlib.sha256(b"a jar").hexdigest()
        self.lock.write_text(f"# a comment\norg.example:one:1.0 sha256:{digest}\n")

    def fetch(self, jar: Jar) -> Path:
        path = jar.path(self.root / "m2")
        path.parent.mkdir(parents=True)
        path.write_bytes(self.content)
        self.fetched.append(str(jar))
        return path

    def ensure(self) -> list[Path]:
        return ensure(self.lock, self.root / "m2", self.root / "cache", self.fetch)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository with a lock file of one jar."""
    return Repository(tmp_path)


def test_a_missing_jar_is_fetched_once(repository: Repository) -> None:
    """The second start finds it."""
    first = repository.ensure()
    second = repository.ensure()

    assert first == second == [repository.root / "m2/org/example/one/1.0/one-1.0.jar"]
    assert repository.fetched == ["org.example:one:1.0"]


def test_a_fetched_jar_with_another_hash_is_refused_and_removed(repository: Repository) -> None:
    """The text names the jar and both hashes."""
    repository.content = b"another jar"

    with pytest.raises(Fatal, match=r"one-1\.0\.jar has sha256 .* but org\.example:one:1\.0 is locked to"):
        repository.ensure()

    assert not (repository.root / "m2/org/example/one/1.0/one-1.0.jar").exists()


def test_a_jar_that_was_changed_after_its_check_is_refused(repository: Repository) -> None:
    """The text says how to put it right; the file, which may be someone's own, stays."""
    [path] = repository.ensure()
    path.write_bytes(b"tampered with")

    with pytest.raises(Fatal, match="delete it and run the command again: rm"):
        repository.ensure()

    assert path.exists()


def test_a_failed_fetch_says_what_to_do(repository: Repository) -> None:
    """Proxy, mirror and an own broker are the ways out."""

    def fetch(_: Jar) -> Path:
        raise ConnectionError("no route to host")

    with pytest.raises(Fatal, match=r"(?s)no route to host.*HTTPS_PROXY.*TIDEMARK_MAVEN_URL.*KAFKA_BOOTSTRAP_SERVERS"):
        ensure(repository.lock, repository.root / "m2", repository.root / "cache", fetch)


def test_a_wrong_line_of_the_lock_file_is_named(tmp_path: Path) -> None:
    """With file and line."""
    (tmp_path / "jars.lock").write_text("org.example:one:1.0\n")

    with pytest.raises(Fatal, match=r"jars\.lock:1 is not"):
        read_lock(tmp_path / "jars.lock")


def test_the_lock_file_of_the_project_is_complete() -> None:
    """It has the broker and its logging binding, each with a hash and no address."""
    jars = {jar.artifact: jar for jar in read_lock(deploy_folder() / "jars.lock")}

    assert jars["kafka_2.13"].version == "4.3.1"
    assert {"log4j-core", "log4j-slf4j-impl", "slf4j-api"} <= jars.keys()
