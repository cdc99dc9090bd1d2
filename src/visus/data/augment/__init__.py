"""Augmentation: random versions of training pictures whose labels stay true.

One file per family; whatever derives from `Op` in this folder is an augmentation (`catalogue()`), can be
described as JSON and read back, and is asked the same questions by the tests.
"""

from visus.data.augment.color import (
    Autocontrast,
    Blur,
    Brightness,
    ChannelShift,
    ColorJitter,
    Contrast,
    Equalize,
    Exposure,
    Gamma,
    GaussianNoise,
    Grayscale,
    Hue,
    Invert,
    JpegQuality,
    MotionBlur,
    PcaLighting,
    Posterize,
    SaltAndPepper,
    Saturation,
    Sharpness,
    Solarize,
    SunFlare,
)
from visus.data.augment.erase import Cutout, RandomErasing
from visus.data.augment.geometry import (
    Crop,
    Elastic,
    HorizontalFlip,
    Perspective,
    QuarterTurn,
    RandomResizedCrop,
    Rotate,
    Shear,
    Shift,
    ShorterSideJitter,
    VerticalFlip,
    Zoom,
)
from visus.data.augment.mix import CutMix, Mix, MixUp
from visus.data.augment.offline import write_versions
from visus.data.augment.op import GeometricOp, Op, PixelOp, catalogue
from visus.data.augment.policies import Policy
from visus.data.augment.presets import DOMAINS, STRENGTHS, policy, told_by
from visus.data.augment.preview import Finding, augmentation_sheet, check
from visus.data.augment.rand_augment import RandAugment, TrivialAugment
from visus.data.augment.test_time import VIEWS, view_images, views

__all__ = [
    "DOMAINS",
    "STRENGTHS",
    "VIEWS",
    "Autocontrast",
    "Blur",
    "Brightness",
    "ChannelShift",
    "ColorJitter",
    "Contrast",
    "Crop",
    "CutMix",
    "Cutout",
    "Elastic",
    "Equalize",
    "Exposure",
    "Finding",
    "Gamma",
    "GaussianNoise",
    "GeometricOp",
    "Grayscale",
    "HorizontalFlip",
    "Hue",
    "Invert",
    "JpegQuality",
    "Mix",
    "MixUp",
    "MotionBlur",
    "Op",
    "PcaLighting",
    "Perspective",
    "PixelOp",
    "Policy",
    "Posterize",
    "QuarterTurn",
    "RandAugment",
    "RandomErasing",
    "RandomResizedCrop",
    "Rotate",
    "SaltAndPepper",
    "Saturation",
    "Sharpness",
    "Shear",
    "Shift",
    "ShorterSideJitter",
    "Solarize",
    "SunFlare",
    "TrivialAugment",
    "VerticalFlip",
    "Zoom",
    "augmentation_sheet",
    "catalogue",
    "check",
    "policy",
    "told_by",
    "view_images",
    "views",
    "write_versions",
]
