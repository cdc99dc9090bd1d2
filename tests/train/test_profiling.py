"""The profile of a step: a pipeline that is slow on purpose must show."""

import time

import keras
import numpy as np
import pytest

from visus.train.profiling import profile_steps

X, Y = np.ones((4, 12, 10, 3), "float32"), np.ones((4, 2), "float32")


def new_model():
    model = keras.Sequential(
        [keras.Input((12, 10, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="mse")
    return model


def slow_batches(seconds):
    while True:
        time.sleep(seconds)
        yield X, Y


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="operations are told by TensorFlow only")
def test_operations_and_waiting(tmp_path):
    model = new_model()
    before = model.get_weights()
    profile = profile_steps(model, slow_batches(0.2), steps=3, folder=tmp_path)
    assert 0.6 <= profile.waiting < profile.seconds
    assert profile.waiting_share > 0.3
    # oneDNN does it together with the bias: Conv2DBackpropFilterWithBias.
    (filters,) = (o for o in profile.operations if o.kind.startswith("Conv2DBackpropFilter"))
    assert filters.calls == 3 and filters.seconds > 0
    assert "Conv2DBackpropFilter" in str(profile) and "waiting for data" in str(profile)
    assert list(tmp_path.glob("plugins/profile/*/*.xplane.pb"))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    assert int(model.optimizer.iterations) == 0


def test_too_few_batches():
    with pytest.raises(ValueError, match="needs 7 batches"):
        profile_steps(new_model(), [(X, Y)] * 4)
