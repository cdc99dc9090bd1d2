"""What a network costs: multiplications, counted layer by layer."""

from __future__ import annotations

import math

import keras


def multiply_adds(model: keras.Model) -> int:
    """The multiplications of one picture's way through a network, each with its addition.

    Counted are convolutions and matrices, as publications do; biases, norms, activations and pooling are not.

    Args:
        model: A functional model of fixed input size; nested models are walked.

    Returns:
        Multiply-adds for a batch of one. (Some call it MACs, some FLOPs; some count two FLOPs for each.)

    Example:
        >>> multiply_adds(keras.Sequential([keras.Input((784,)), keras.layers.Dense(10)]))
        7840
    """
    return sum(multiply_adds(e) if isinstance(e, keras.Model) else _layer(e) for e in model.layers)


def _layer(layer: keras.layers.Layer) -> int:
    """The sizes of a layer's kernels, times the places that they are applied at."""
    match layer:
        case keras.layers.SeparableConv2D():
            kernels = [layer.depthwise_kernel, layer.pointwise_kernel]
        case keras.layers.Conv2D() | keras.layers.DepthwiseConv2D() | keras.layers.Dense():
            kernels = [layer.kernel]
        case _:
            return 0
    places = math.prod(layer.output.shape[1:-1])
    return int(places * sum(math.prod(kernel.shape) for kernel in kernels))
