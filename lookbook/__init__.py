"""How the demo's look book is drawn: dressed figures with exact masks. ``modiste.demo`` unpacks what was drawn."""

from lookbook.book import Lookbook, draw_lookbook

__all__ = ["Lookbook", "draw_lookbook"]
