"""Drawing: pages, thumbnails, plots and annotated pictures."""

from visus.draw.page import Badge, Link, Page
from visus.draw.thumbnail import thumbnail

__all__ = ["Badge", "Link", "Page", "thumbnail"]
