"""What an item is, where items come from, and how alike their categories are."""

from modiste.catalog.items import GENDERS, Item, Rejected
from modiste.catalog.readers import Reading, read_source
from modiste.catalog.taxonomy import Taxonomy

__all__ = ["GENDERS", "Item", "Reading", "Rejected", "Taxonomy", "read_source"]
