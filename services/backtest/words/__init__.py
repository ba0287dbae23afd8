"""All wording of a back-test's report, from catalogues by language: `en.yaml`, `pt.yaml`, `it.yaml`."""

from functools import cache

from services.backtest.words.speech import Speech
from services.shared.wording import read_catalogue

__all__ = ["Speech", "speech"]


@cache
def speech(language: str) -> Speech:
    """Return how a report speaks in one of the languages."""
    return Speech(read_catalogue(__name__, language))
