"""Different learning for different weights: rates by group, and no decay of biases and normalisation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import keras


def exempt_from_decay(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> None:
    """Exempts every bias, and the scale and offset of every normalisation, from weight decay.

    These are the weights with at most one axis. A kernel is decayed, whatever it is called. Must be called
    before the optimiser is built. Keras does not save the exemption with the model: call it again after loading.

    Args:
        optimizer: One with `weight_decay`, such as AdamW.
        model: A built model.

    Example:
        >>> optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.05)  # doctest: +SKIP
        >>> exempt_from_decay(optimizer, model)  # doctest: +SKIP
        >>> model.compile(optimizer, ...)  # doctest: +SKIP
    """
    optimizer.exclude_from_weight_decay(var_list=[w for w in model.trainable_weights if len(w.shape) <= 1])


def by_group(
    model: keras.Model,
    make: Callable[[float], keras.optimizers.Optimizer],
    factors: Mapping[str, float],
) -> keras.optimizers.MultiOptimizer:
    """An optimiser with its own learning rate for each group of weights.

    Args:
        model: A built model; its biases and normalisation are exempt from weight decay.
        make: Makes the optimiser of a group from the factor of its rate.
        factors: Regular expression for the whole path of a weight (as `weight.path` has it) -> factor. Weights
            that match none have the factor 1.

    Returns:
        A `keras.optimizers.MultiOptimizer` for `compile`. `ReduceLROnPlateau` lowers all of them;
        `Scheduled` cannot set them: give `make` a schedule with `visus.train.schedules.as_keras`.

    Raises:
        ValueError: A pattern matches no weight.

    Example:
        >>> optimizer = by_group(model, lambda k: keras.optimizers.Adam(1e-3 * k), {"trunk/.*": 0.1})
        ... # doctest: +SKIP
    """
    optimizers = {}
    for pattern, factor in factors.items():
        if not any(re.fullmatch(pattern, weight.path) for weight in model.weights):
            raise ValueError(
                f"The pattern {pattern!r} matches no weight. Paths look like {model.weights[0].path!r}."
            )
        optimizers[pattern] = make(factor)
    default = make(1.0)
    for optimizer in (default, *optimizers.values()):
        exempt_from_decay(optimizer, model)
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(default, optimizers))
