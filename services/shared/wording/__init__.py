"""Wording by language: a service keeps its texts as `en.yaml`, `pt.yaml` and `it.yaml` in a package of its own."""

from services.shared.wording.catalogue import LANGUAGES, Catalogue, preferred, read_catalogue

__all__ = ["LANGUAGES", "Catalogue", "preferred", "read_catalogue"]
