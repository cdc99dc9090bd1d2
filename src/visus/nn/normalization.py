"""Batch normalisation with TensorFlow's fused kernel."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("visus")
class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Keras' layer, the same numbers, faster while it learns.

    Keras computes it from means, products and sums, each a pass over memory; under TensorFlow and in float32 this
    layer calls the one kernel that does it all (Ioffe and Szegedy, 2015). Everywhere else it is Keras' layer.

    Example:
        >>> layer = BatchNormalization()
        >>> x = ops.reshape(ops.array([1.0, 3.0]), (2, 1, 1, 1))
        >>> [round(float(value), 2) for value in ops.ravel(layer(x, training=True))]
        [-1.0, 1.0]
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Keras' hook: `(B, height, width, C)` to the same shape."""
        if not (training and self.trainable and mask is None and self._fusible(inputs)):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        channels = inputs.shape[-1]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.convert_to_tensor(self.gamma) if self.scale else tf.ones(channels),
            offset=ops.convert_to_tensor(self.beta) if self.center else tf.zeros(channels),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel estimates the variance of the population (n - 1), Keras keeps that of the batch (n).
        count = tf.cast(tf.size(inputs) // channels, tf.float32)
        variance *= (count - 1) / count
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + tf.stop_gradient(value) * (1.0 - self.momentum))
        return outputs

    def _fusible(self, inputs: Any) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and keras.backend.standardize_dtype(inputs.dtype) == "float32"
            and not (self.renorm or self.synchronized)
        )


def fuse(network: keras.Model) -> None:
    """Makes the normalisations of a network that somebody else built the faster ones, in place.

    They have the same variables and arguments, so that nothing else changes.
    """
    for layer in network.layers:
        if type(layer) is keras.layers.BatchNormalization:
            layer.__class__ = BatchNormalization
