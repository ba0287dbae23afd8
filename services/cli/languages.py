"""The languages of what commands write for people."""

from enum import StrEnum


class Language(StrEnum):
    """One of them."""

    EN = "en"
    PT = "pt"
    IT = "it"
