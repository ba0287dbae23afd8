"""The report as an e-mail: a plain text and an HTML body, ready for any program that sends mail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP

from services.console.report.contents import Reader, title
from services.console.report.rendering import mail_html, mail_text
from services.console.report.week import Week
from services.shared.errors import Rejected


def message(week: Week, reader: Reader, *, sender: str = "", recipients: Sequence[str] = ()) -> bytes:
    """
    Return the e-mail as RFC 5322 has it. Without recipients, mail programs open it as a draft.

    Raises:
        Rejected: an address is not one.
    """
    made = EmailMessage(policy=SMTP.clone(utf8=False))
    made["Subject"] = title(week, reader)
    made["Date"] = datetime.fromisoformat(week.as_of)
    for name, field, value in (("From", "sender", sender), ("To", "recipient", ", ".join(recipients))):
        if value:
            _set(made, name, field, value)
    if not recipients:
        made["X-Unsent"] = "1"
    made["Auto-Submitted"] = "auto-generated"
    made["Content-Language"] = reader.words.language
    made.set_content(mail_text(week, reader), cte="quoted-printable")
    made.add_alternative(mail_html(week, reader), subtype="html", cte="quoted-printable")
    return bytes(made)


def _set(made: EmailMessage, name: str, field: str, value: str) -> None:
    problem = "is no e-mail address such as nora@example.com"
    if any(not each.isprintable() for each in value):
        raise Rejected("bad_address", field, problem)
    made[name] = value
    header = made[name]
    if header.defects or not header.addresses or not all(each.username and each.domain for each in header.addresses):
        raise Rejected("bad_address", field, f"{value[:100]!r} {problem}")
