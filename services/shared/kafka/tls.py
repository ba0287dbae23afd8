"""
What TLS connections to Kafka are made with: files, which may be replaced while a process runs.

Certificates that end after a day are common. A client that kept the one with which it began would be refused at its next connection.
"""

from __future__ import annotations

import logging
import os
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

log = logging.getLogger(__name__)


class Files(NamedTuple):
    """Files in PEM form: the authority of the brokers, and the certificate of this client with its key."""

    authority: Path | None
    certificate: Path | None
    key: Path | None
    password: str | None
    """Of an encrypted key."""

    def read(self) -> ssl.SSLContext:
        """
        Make a context of what they hold now.

        Raises:
            ValueError: a file cannot be used; the text names its variable.
        """
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.authority)
        except ssl.SSLError as error:
            raise ValueError(f"KAFKA_SSL_CAFILE: {self.authority} holds no certificates in PEM form") from error
        except OSError as error:
            raise ValueError(f"KAFKA_SSL_CAFILE: {self.authority} cannot be read: {error.strerror}") from error
        if self.certificate is not None and self.key is not None:
            try:
                context.load_cert_chain(self.certificate, self.key, self._password)
            except ssl.SSLError as error:
                raise ValueError(self._why_no_key(error)) from error
            except OSError as error:
                raise ValueError(
                    f"KAFKA_SSL_CERTFILE, KAFKA_SSL_KEYFILE: one cannot be read: {error.strerror}"
                ) from error
        return context

    def versions(self) -> list[tuple[int, int, int] | None]:
        """Return what changes when a file is written, or another takes its place; None for one that is not there."""
        found: list[tuple[int, int, int] | None] = []
        for path in (self.authority, self.certificate, self.key):
            found.append(None)
            if path is not None:
                with suppress(OSError):
                    told = os.stat(path)  # noqa: PTH116 - of what a link leads to, which is how Kubernetes replaces secrets
                    found[-1] = told.st_ino, told.st_size, told.st_mtime_ns
        return found

    def _password(self) -> str:
        # Asked only for an encrypted key. Without an answer OpenSSL would ask on the terminal.
        if self.password is None:
            raise ValueError("KAFKA_SSL_KEYFILE: the key is encrypted: set KAFKA_SSL_KEY_PASSWORD")
        return self.password

    def _why_no_key(self, error: ssl.SSLError) -> str:
        reason = str(error.reason or error)
        if "KEY_VALUES_MISMATCH" in reason:
            return "KAFKA_SSL_KEYFILE: the key does not belong to KAFKA_SSL_CERTFILE"
        with suppress(OSError):
            if self.key is not None and "ENCRYPTED" in self.key.read_text("ascii", "replace"):
                return "KAFKA_SSL_KEY_PASSWORD: the key cannot be decrypted with it"
        return f"KAFKA_SSL_CERTFILE, KAFKA_SSL_KEYFILE: a file is not in PEM form, or damaged ({reason})"


class RenewedContext(ssl.SSLContext):
    """
    A context whose next connection is made with what the files hold by then.

    Clients keep a context for as long as they live. What loops ask it for is one thing, a connection; and whichever thread asks, the
    context that makes it is never changed. Files that do not fit each other change nothing: whoever replaces a certificate writes it
    before its key, or the other way round.
    """

    _files: Files
    _versions: list[tuple[int, int, int] | None]
    """Of the files that were read last."""
    _unfit: list[tuple[int, int, int] | None] | None
    """Of those that last did not fit, which the log has been told of."""
    _present: ssl.SSLContext

    def __new__(cls, files: Files) -> Self:
        """
        Read the files.

        Raises:
            ValueError: one cannot be used.
        """
        made = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        made._files, made._versions, made._unfit = files, files.versions(), None
        made._present = files.read()
        return made

    def wrap_bio(self, *given: Any, **options: Any) -> ssl.SSLObject:
        """Begin a connection."""
        return self._now().wrap_bio(*given, **options)

    def _now(self) -> ssl.SSLContext:
        if (found := self._files.versions()) != self._versions:
            try:
                self._present = self._files.read()
            except ValueError as error:
                if found != self._unfit:
                    self._unfit = found
                    log.warning("certificates_do_not_fit", extra={"cause": str(error), "kept": "those read before"})
                if isinstance(error.__cause__, ssl.SSLError):  # else try again: who may read a file changes without it
                    self._versions = found
            else:
                self._versions = found
                log.info("certificates_read_again")
        return self._present
