"""One seed for everything, and the switches under which TensorFlow repeats bit for bit on a CPU."""

from __future__ import annotations

import os

import keras


def repeatable(seed: int) -> str | None:
    """Seeds Python, NumPy and the backend, and makes TensorFlow's training on a CPU repeat bit for bit.

    Two switches are needed: deterministic ops, and a single inter-op thread, since with two the order in which
    gradients are added varies from run to run (MobileNetV2 differs, ResNet-50 happens not to). The second costs
    nothing measurable and must be set before TensorFlow computes anything.

    Args:
        seed: The seed.

    Returns:
        None, or a sentence that says why repeating exactly cannot be promised.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() != "tensorflow":
        return (
            f"Under the {keras.backend.backend()} backend a resumed training agrees closely, not bit for bit."
        )
    import tensorflow as tf

    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")
    tf.config.experimental.enable_op_determinism()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        if tf.config.threading.get_inter_op_parallelism_threads() != 1:
            return (
                "TensorFlow was already computing before training began, so its inter-op threads cannot be limited "
                "to one: a resumed training may differ in the last bits. Start training in a fresh process."
            )
    return None
