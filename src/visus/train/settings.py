"""Every argument of a training, with its default; resolved, it is what `run.json` holds."""

from __future__ import annotations

import difflib
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from visus.data.augment import STRENGTHS
from visus.data.augment.policies import Domain
from visus.data.augment.test_time import VIEWS
from visus.structures import InputError

_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "epochs": (0, 100_000),
    "head_epochs": (0, 100_000),
    "variants": (1, 1_000),
    "minutes": (0.1, 1e6),
    "batch_size": (1, 65_536),
    "head_batch_size": (1, 65_536),
    "learning_rate": (0.0, 1e3),
    "head_learning_rate": (0.0, 1e3),
    "weight_decay": (0.0, 10.0),
    "label_smoothing": (0.0, 0.999),
    "dropout": (0.0, 0.99),
    "ema": (0.0, 0.9999),
    "patience": (0, 100_000),
    "val": (0.0, 0.9),
    "test": (0.0, 0.9),
}
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "policy": STRENGTHS,
    "head_policy": STRENGTHS,
    "domain": get_args(Domain),
    "mix": (None, "mixup", "cutmix"),
    "class_weights": (None, "balanced"),
    "tta": (None, *VIEWS),
    "precision": ("auto", "float32", "mixed_bfloat16"),
}


@dataclass(frozen=True)
class Settings:
    """How to train a classifier.

    Attributes:
        model: Name in the catalogue (`visus models`), such as `classify/efficientnet-lite0`.
        weights: `default` (pretrained where the model has such weights), `none`, or a `.keras` file.
        size: `(height, width)` of the model's input, or None for the model's own.
        seed: One seed for initial weights, order, augmentation, dropout and splits.
        epochs: Passes over the data with the trunk learning (or with the whole net, without pretrained weights);
            None lets the plan decide.
        head_epochs: Passes over the cached features with the trunk frozen.
        variants: Versions of each picture in the feature cache: one plain, the others augmented.
        minutes: Budget for everything, or None.
        batch_size: Pictures in a batch while the trunk learns.
        head_batch_size: Rows in a batch while only the head learns.
        learning_rate: Peak rate while the trunk learns; None: 3e-4 pretrained, 1e-3 from scratch.
        head_learning_rate: Peak rate while only the head learns.
        unfreeze: Stages of the trunk that learn in the second phase, counted from the top, or `all`.
        weight_decay: Decoupled (AdamW); biases and normalisation are exempt.
        label_smoothing: Share of the target spread over all classes, in [0, 1).
        dropout: Rate in front of the last layer, or None for the model's own.
        policy: Augmentation preset while the whole net learns: none, light, standard, strong.
        head_policy: Augmentation preset of the views in the feature cache.
        domain: What is shown, so that no augmentation changes a label: generic, text, medical, ...
        mix: None, `mixup` or `cutmix`.
        soft: Train on the annotators' probabilities where the data set has them.
        class_weights: None, or `balanced`: rare classes weigh more.
        ema: Momentum of the moving average of the weights, which is what is validated and kept; 0 is off.
        patience: Epochs without a better validation loss before a phase stops; 0 never stops early.
        val: Share set aside for validation where the data brings no `val` split: of the training pictures, or of
            all where it brings no split at all.
        test: Share of all pictures set aside for the final judgement where the data brings no split at all.
        group: Regular expression searched in each picture's source: pictures for which it finds the same (a patient, a
            slide) stay in one split. None takes the groups that the data itself names.
        precision: `auto` (bfloat16 on a GPU, float32 on a CPU), `float32` or `mixed_bfloat16`.
        tta: Views that the final judgement averages over: None, `flip`, ...
    """

    model: str = "classify/efficientnet-lite0"
    weights: str = "default"
    size: tuple[int, int] | None = None
    seed: int = 0
    epochs: int | None = None
    head_epochs: int = 40
    variants: int = 4
    minutes: float | None = None
    batch_size: int = 16
    head_batch_size: int = 64
    learning_rate: float | None = None
    head_learning_rate: float = 3e-3
    unfreeze: int | Literal["all"] = "all"
    weight_decay: float = 1e-4
    label_smoothing: float = 0.1
    dropout: float | None = None
    policy: str = "standard"
    head_policy: str = "light"
    domain: Domain = "generic"
    mix: str | None = None
    soft: bool = False
    class_weights: str | None = None
    ema: float = 0.0
    patience: int = 0
    val: float = 0.1
    test: float = 0.2
    group: str | None = None
    precision: str = "auto"
    tta: str | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            whole = isinstance(getattr(Settings, name), int) or name == "epochs"
            if value is None and getattr(Settings, name) is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                raise InputError(f"{name} is a{' whole' if whole else ''} number. Received {value!r}.")
            if not low <= value <= high:
                raise InputError(f"{name} lies in [{low}, {high}]. Received {value}.")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                named = ", ".join("nothing" if c is None else c for c in choices)
                raise InputError(f"{name} is one of {named}. Received {getattr(self, name)!r}.")
        if self.unfreeze != "all" and (type(self.unfreeze) is not int or self.unfreeze < 0):
            raise InputError(f"unfreeze is a number of stages, or all. Received {self.unfreeze!r}.")
        if self.size is not None:
            sides = [self.size, self.size] if isinstance(self.size, int) else list(self.size)
            if len(sides) != 2 or not all(type(side) is int and 8 <= side <= 4096 for side in sides):
                raise InputError(
                    f"size is (height, width) in whole pixels between 8 and 4096. Received {self.size!r}."
                )
            object.__setattr__(self, "size", tuple(sides))
        try:
            re.compile(self.group or "")
        except re.error as error:
            raise InputError(f"group is a regular expression. Received {self.group!r} ({error}).") from None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Settings:
        """Settings by name; a name that there is not is an error.

        Raises:
            InputError: A field is unknown.
        """
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            near = difflib.get_close_matches(unknown[0], known) or known
            raise InputError(
                f"These training arguments are unknown: {', '.join(unknown)}. Did you mean {', '.join(near)}?"
            )
        return cls(**values)
