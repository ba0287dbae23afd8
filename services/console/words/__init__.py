"""All wording of the console, from catalogues by language: `en.yaml`, `pt.yaml`, `it.yaml`."""

from services.console.words.catalogue import LANGUAGES, Catalogue, catalogue, preferred

__all__ = ["LANGUAGES", "Catalogue", "catalogue", "preferred"]
