"""A Keras model as one graph without variables: what every converter starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Frozen:
    """The graph of a model in inference, its weights folded into constants.

    Attributes:
        function: The TensorFlow `ConcreteFunction`.
        input_name: Name of the tensor of pictures.
        output_names: Names of the result tensors, in the alphabetical order of the model's output names.
    """

    function: Any
    input_name: str
    output_names: tuple[str, ...]

    @property
    def graph_def(self) -> Any:
        """The graph as a protocol buffer."""
        return self.function.graph.as_graph_def()


def input_shape(model: keras.Model) -> tuple[int | None, ...]:
    """`(height, width, channels)` of the model's only input; None where it takes any size.

    Raises:
        ValueError: The model has several inputs, or its input is no batch of pictures.
    """
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        shapes = [tuple(x.shape) for x in model.inputs]
        raise ValueError(
            "A runtime runs models with one input of shape (batch, height, width, channels). "
            f"Received {shapes}."
        )
    return tuple(model.inputs[0].shape[1:])


def named(outputs: Any) -> dict[str, Any]:
    """The outputs of a model by name, sorted; a single tensor is called `output`.

    Raises:
        ValueError: The outputs are a list or nested: they have no names.
    """
    if isinstance(outputs, Mapping):
        found = {str(name): outputs[name] for name in sorted(outputs)}
        if not any(isinstance(value, (Mapping, list, tuple)) for value in found.values()):
            return found
    elif not isinstance(outputs, (list, tuple)):
        return {"output": outputs}
    raise ValueError("A runtime runs models that return one tensor, or a dict of tensors by name.")


def infer(model: keras.Model, images: Any) -> dict[str, Any]:
    """The outputs of a model in inference, by name, sorted."""
    return named(model(as_input(model, images), training=False))


def as_input(model: keras.Model, images: Any) -> Any:
    """The images in the structure that the model was built with: `Model([x], y)` expects a list."""
    return [images] if isinstance(getattr(model, "input", None), list) else images


def freeze(model: keras.Model) -> Frozen:
    """Traces the model in inference and folds its weights into constants. Needs Keras on TensorFlow."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = [tf.TensorSpec((None, *input_shape(model)), tf.float32, name="image")]
    traced = tf.function(lambda image: list(infer(model, image).values()), signature, autograph=False)
    function = convert_variables_to_constants_v2(traced.get_concrete_function())
    return Frozen(function, function.inputs[0].name, tuple(tensor.name for tensor in function.outputs))
