"""Pictures as arrays: reading, writing, resizing, warping, preparing and fingerprinting them."""

from visus.image.hash import dhash, digest, hamming
from visus.image.io import EXTENSIONS, MAX_PIXELS, ImageError, ImageInfo, frames, probe, read, write
from visus.image.prepare import placement, prepare
from visus.image.resize import resize
from visus.image.warp import warp

__all__ = [
    "EXTENSIONS",
    "MAX_PIXELS",
    "ImageError",
    "ImageInfo",
    "dhash",
    "digest",
    "frames",
    "hamming",
    "placement",
    "prepare",
    "probe",
    "read",
    "resize",
    "warp",
    "write",
]
