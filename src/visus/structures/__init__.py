"""The shared vocabulary: frozen dataclasses of NumPy arrays that every room speaks."""

from visus.structures.affine import Affine
from visus.structures.classification import Classification
from visus.structures.errors import InputError
from visus.structures.estimate import Estimate
from visus.structures.image_spec import ImageSpec
from visus.structures.sample import Sample

__all__ = ["Affine", "Classification", "Estimate", "ImageSpec", "InputError", "Sample"]
