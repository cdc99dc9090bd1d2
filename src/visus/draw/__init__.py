"""Drawing: pages, thumbnails, plots and annotated pictures."""

from visus.draw.page import Badge, Page
from visus.draw.thumbnail import thumbnail

__all__ = ["Badge", "Page", "thumbnail"]
