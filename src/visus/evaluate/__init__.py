"""Judging predictions against the truth: figures with intervals, comparisons, and what they suggest.

The functions that need SciPy load it themselves: a predictor asks for `uncertain`, and starts without it.
"""

from visus.evaluate.advice import Advice, advise
from visus.evaluate.bootstrap import exact_interval
from visus.evaluate.calibration import Reliability, apply_temperature, fit_temperature, reliability, uncertain
from visus.evaluate.classification import ClassFigures, ClassificationResult, evaluate, top_k_hits
from visus.evaluate.compare import Comparison, McNemar, compare, mcnemar
from visus.evaluate.confusion import ConfusionMatrix, normalised
from visus.evaluate.curves import Sweep, Threshold, areas, choose_threshold, sweep
from visus.evaluate.diagnosis import Diagnosis, best_epoch, diagnose
from visus.evaluate.multilabel import MultilabelResult, evaluate_multilabel

__all__ = [
    "Advice",
    "ClassFigures",
    "ClassificationResult",
    "Comparison",
    "ConfusionMatrix",
    "Diagnosis",
    "McNemar",
    "MultilabelResult",
    "Reliability",
    "Sweep",
    "Threshold",
    "advise",
    "apply_temperature",
    "areas",
    "best_epoch",
    "choose_threshold",
    "compare",
    "diagnose",
    "evaluate",
    "evaluate_multilabel",
    "exact_interval",
    "fit_temperature",
    "mcnemar",
    "normalised",
    "reliability",
    "sweep",
    "top_k_hits",
    "uncertain",
]
