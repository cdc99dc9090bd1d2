"""Operations on finished models: cut, split, graft a new head, restore some of the weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from visus.structures import InputError


@dataclass(frozen=True)
class Report:
    """What a restore did with each variable.

    Attributes:
        matched: Variables that took a value.
        missing: Variables for which the source has none; they keep what they had.
        mis_shaped: Variables whose value has another shape, as sentences; they keep what they had.
        unused: Names in the source that no variable took.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...] = ()
    mis_shaped: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every variable took a value."""
        return not self.missing and not self.mis_shaped

    def __str__(self) -> str:
        def some(names: tuple[str, ...]) -> str:
            return "" if not names else f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"

        return (
            f"{len(self.matched)} variables matched, {len(self.missing)} missing{some(self.missing)}, "
            f"{len(self.mis_shaped)} mis-shaped{some(self.mis_shaped)}, "
            f"{len(self.unused)} values unused{some(self.unused)}"
        )


def _layer(model: keras.Model, layer: str | int) -> keras.layers.Layer:
    try:
        if isinstance(layer, int):
            return model.layers[layer]
        return model.get_layer(layer)
    except (ValueError, IndexError):
        names = [each.name for each in model.layers]
        raise InputError(
            f"{model.name} has no layer {layer!r}. It has {len(names)}, from {names[0]} to {names[-1]}."
        ) from None


def cut(model: keras.Model, layer: str | int) -> keras.Model:
    """The model up to a layer, that layer's output included; weights are shared with the original.

    Args:
        model: A functional model.
        layer: Name or index of one of its layers (of a nested trunk: cut the trunk).

    Raises:
        InputError: There is no such layer.

    Example:
        >>> extractor = cut(classifier, "features")     # doctest: +SKIP
        >>> extractor.output_shape                      # doctest: +SKIP
        (None, 1280)
    """
    return keras.Model(model.inputs[0], _layer(model, layer).output, name=f"{model.name}_cut")


def split(model: keras.Model, layer: str | int) -> tuple[keras.Model, keras.Model]:
    """The model in two: up to a layer, and from its output to the model's; weights are shared.

    Training the second on stored outputs of the first trains the head of the model itself.

    Args:
        model: A functional model.
        layer: Name or index of the layer that the first part ends with.

    Returns:
        `(lower, upper)` with `upper(lower(x)) == model(x)`.

    Raises:
        InputError: There is no such layer, or some path goes around it.
    """
    lower = cut(model, layer)
    try:
        upper = keras.Model(lower.outputs[0], model.output, name=f"{model.name}_head")
    except ValueError:
        raise InputError(
            f"{model.name} cannot be split at {layer!r}: some path from the input goes around that layer."
        ) from None
    return lower, upper


def drop_last(model: keras.Model, n: int) -> keras.Model:
    """The model without its last `n` layers; weights are shared with the original.

    Raises:
        InputError: `n` leaves no layer.
    """
    if not 1 <= n < len(model.layers) - 1:
        raise InputError(
            f"{model.name} has {len(model.layers)} layers, input included. Cannot drop the last {n}."
        )
    return cut(model, len(model.layers) - 1 - n)


def graft(model: keras.Model, head: keras.Model | keras.layers.Layer) -> keras.Model:
    """A model with `head` on top of another's output; both keep their weights.

    Args:
        model: What gives the head its input.
        head: A layer, or a model with one input.

    Example:
        >>> graft(drop_last(mlp, 1), keras.layers.Dense(16))    # doctest: +SKIP
    """
    return keras.Model(model.inputs[0], head(model.outputs[0]), name=f"{model.name}_grafted")


def variables(model: keras.Model) -> dict[str, Any]:
    """Name -> variable: `layer/variable`, with the trunk's layers named like the model's own.

    Names do not depend on what else was built before. Dropout's random states are no weights and are left
    out.

    Raises:
        InputError: Two layers have the same name.
    """
    found: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            new = variables(layer)
        else:
            new = {f"{layer.name}/{v.name}": v for v in layer.weights if "seed_generator" not in v.path}
        if found.keys() & new.keys():
            raise InputError(f"{model.name} has two variables named {min(found.keys() & new.keys())}.")
        found |= new
    return found


def restore(
    model: keras.Model,
    source: keras.Model | Mapping[str, np.ndarray],
    *,
    only: str = "",
    strict: bool = False,
) -> Report:
    """Copies weights into a model by name.

    Args:
        model: Takes the weights.
        source: A model, or name -> array with names as `variables` gives them.
        only: A regular expression that a name must contain to take part; empty means all.
        strict: Refuse, and change nothing, unless every variable that takes part gets a value.

    Returns:
        What matched, was missing, had another shape or stayed unused.

    Raises:
        InputError: `strict`, and something is missing or mis-shaped; or nothing matches at all; or `only` is
            no regular expression.
    """
    try:
        pattern = re.compile(only)
    except re.error as error:
        raise InputError(f"{only!r} is not a regular expression: {error}.") from None
    values: Mapping[str, Any] = variables(source) if isinstance(source, keras.Model) else source
    targets = {name: v for name, v in variables(model).items() if pattern.search(name)}
    fits = {
        name: tuple(values[name].shape) == tuple(v.shape) for name, v in targets.items() if name in values
    }
    report = Report(
        matched=tuple(name for name, fit in fits.items() if fit),
        missing=tuple(name for name in targets if name not in values),
        mis_shaped=tuple(
            f"{name} is {tuple(targets[name].shape)}, received {tuple(values[name].shape)}"
            for name, fit in fits.items()
            if not fit
        ),
        unused=tuple(name for name in values if name not in targets and pattern.search(name)),
    )
    if not report.matched or (strict and not report.complete):
        raise InputError(
            f"The weights do not fit {model.name}: {report}. Use weights of the same architecture."
        )
    for name in report.matched:
        targets[name].assign(np.asarray(values[name]))
    for layer in _flat(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return report


def _flat(model: keras.Model) -> list[keras.layers.Layer]:
    return [
        inner
        for layer in model.layers
        for inner in (_flat(layer) if isinstance(layer, keras.Model) else [layer])
    ]
