"""Data sets: reading, splitting, surveying, augmenting and feeding them."""

from visus.data.dataset import Dataset

__all__ = ["Dataset"]
