"""All wording of the console, from catalogues by language: `en.yaml`, `pt.yaml`, `it.yaml`."""

from services.shared.wording import Catalogue, read_catalogue


def catalogue(language: str) -> Catalogue:
    """Return the console's catalogue of a language."""
    return read_catalogue(__name__, language)
