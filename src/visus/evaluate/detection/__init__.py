"""Judging detectors: exact average precision in every style, and what went wrong."""

from visus.evaluate.detection.confusion import confusion
from visus.evaluate.detection.evaluation import ClassFigures, DetectionResult, evaluate, evaluate_boxes
from visus.evaluate.detection.matching import Boxes, Matches, match
from visus.evaluate.detection.precision import STYLES, average_precision, precision_recall

__all__ = [
    "STYLES",
    "Boxes",
    "ClassFigures",
    "DetectionResult",
    "Matches",
    "average_precision",
    "confusion",
    "evaluate",
    "evaluate_boxes",
    "match",
    "precision_recall",
]
