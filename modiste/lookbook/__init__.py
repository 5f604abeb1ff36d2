"""A drawn look book: dressed figures with exact masks, for the demo shop and as the tests' source of truth."""

from modiste.lookbook.book import Lookbook, draw_lookbook

__all__ = ["Lookbook", "draw_lookbook"]
