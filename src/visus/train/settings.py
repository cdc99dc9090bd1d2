"""Every argument of a training, with its default; resolved, it is what `run.json` holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from visus.data.augment.policies import Domain
from visus.structures import InputError


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
    precision: str = "auto"
    tta: str | None = None

    def __post_init__(self) -> None:
        for name, low, high in (
            ("label_smoothing", 0.0, 0.999),
            ("ema", 0.0, 0.9999),
            ("val", 0.0, 0.9),
            ("test", 0.0, 0.9),
        ):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} lies in [{low}, {high}]. Received {getattr(self, name)}.")
        for name, least in (("head_epochs", 0), ("variants", 1), ("batch_size", 1), ("head_batch_size", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is at least {least}. Received {getattr(self, name)}.")
        if self.epochs is not None and self.epochs < 0:
            raise InputError(f"epochs is at least 0. Received {self.epochs}.")
        if self.minutes is not None and not 0 < self.minutes < 1e6:
            raise InputError(f"minutes is a positive number. Received {self.minutes}.")
        if self.size is not None:
            object.__setattr__(self, "size", (int(self.size[0]), int(self.size[1])))
            if not 8 <= min(self.size) <= max(self.size) <= 4096:
                raise InputError(f"size lies between 8 and 4096 pixels. Received {self.size}.")
        if self.mix not in (None, "mixup", "cutmix"):
            raise InputError(f"mix is mixup or cutmix. Received {self.mix!r}.")
        if self.class_weights not in (None, "balanced"):
            raise InputError(f"class_weights is balanced, or left out. Received {self.class_weights!r}.")

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Settings:
        """The settings of a recorded run; fields that this version does not know are an error.

        Raises:
            InputError: A field is unknown.
        """
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise InputError(f"These training arguments are unknown: {', '.join(sorted(unknown))}.")
        return cls(**values)
