"""The order of Keras' hooks and what they are told: the promise that visus makes in visus.train.callbacks."""

import keras
import numpy as np
import pytest

X, Y = np.linspace(-1, 1, 30, dtype="float32").reshape(10, 3), np.arange(10, dtype="float32")[:, None]


def small_model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.01), loss="mse", metrics=["mae"])
    return model


class Recorder(keras.callbacks.Callback):
    """Notes every hook with its index and a copy of its logs."""

    def __init__(self):
        super().__init__()
        self.calls = []


def _hook(name):
    if "batch" in name or "epoch" in name:
        return lambda self, index, logs=None: self.calls.append((name, index, dict(logs or {})))
    return lambda self, logs=None: self.calls.append((name, dict(logs or {})))


for stage in ("train", "epoch", "train_batch", "test", "test_batch", "predict", "predict_batch"):
    for end in ("begin", "end"):
        setattr(Recorder, f"on_{stage}_{end}", _hook(f"{stage} {end}"))


def test_the_order_of_a_training_with_validation():
    recorder = Recorder()
    small_model().fit(
        X[:6], Y[:6], validation_data=(X[6:], Y[6:]), batch_size=2, epochs=2, verbose=0, callbacks=[recorder]
    )
    batches = [f"train_batch {e} {i}" for i in range(3) for e in ("begin", "end")]
    tests = [f"test_batch {e} {i}" for i in range(2) for e in ("begin", "end")]
    epochs = [
        [f"epoch begin {i}", *batches, "test begin", *tests, "test end", f"epoch end {i}"] for i in range(2)
    ]
    names = [" ".join(map(str, call[:-1])) for call in recorder.calls]
    assert names == ["train begin", *epochs[0], *epochs[1], "train end"]


def test_logs_are_empty_at_every_begin_and_full_at_the_ends():
    recorder = Recorder()
    model = small_model()
    history = model.fit(
        X[:6], Y[:6], validation_data=(X[6:], Y[6:]), batch_size=2, epochs=2, verbose=0, callbacks=[recorder]
    )
    model.predict(X, verbose=0, callbacks=[recorder])
    assert all(call[-1] == {} for call in recorder.calls if call[0].endswith("begin"))
    ends = {name: [c[-1] for c in recorder.calls if c[0] == name] for name in ("epoch end", "train end")}
    assert [set(logs) for logs in ends["epoch end"]] == [{"loss", "mae", "val_loss", "val_mae"}] * 2
    assert ends["train end"] == ends["epoch end"][-1:]
    assert [logs["val_loss"] for logs in ends["epoch end"]] == history.history["val_loss"]
    assert {c[0] for c in recorder.calls} >= {"predict begin", "predict_batch end", "predict end"}


def test_without_validation_data_there_is_no_validation():
    recorder = Recorder()
    small_model().fit(X, Y, epochs=1, verbose=0, callbacks=[recorder])
    assert not any(call[0].startswith("test") for call in recorder.calls)
    assert set(recorder.calls[-1][-1]) == {"loss", "mae"}


def test_a_batch_end_holds_the_mean_so_far_weighted_by_batch_size():
    recorder, model = Recorder(), small_model()
    model.optimizer.learning_rate = 0.0  # the weights stay, so that the means can be computed here
    errors = (X.sum(axis=1) - Y[:, 0]) ** 2
    model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[recorder])
    means = [call[-1]["loss"] for call in recorder.calls if call[0] == "train_batch end"]
    assert means == pytest.approx([errors[:4].mean(), errors[:8].mean(), errors.mean()], rel=1e-5)


@pytest.mark.parametrize(
    "hook, batches, epochs",
    [
        ("on_train_begin", 1, 1),
        ("on_epoch_begin", 1, 1),
        ("on_train_batch_begin", 1, 1),
        ("on_train_batch_end", 1, 1),
        ("on_test_begin", 5, 1),
        ("on_epoch_end", 5, 1),
    ],
)
def test_stop_training_ends_after_the_current_batch_or_epoch(hook, batches, epochs):
    class Stopper(keras.callbacks.Callback):
        pass

    setattr(Stopper, hook, lambda self, *_, **__: setattr(self.model, "stop_training", True))
    recorder = Recorder()
    small_model().fit(
        X, Y, validation_data=(X, Y), batch_size=2, epochs=3, verbose=0, callbacks=[Stopper(), recorder]
    )
    names = [call[0] for call in recorder.calls]
    assert (names.count("train_batch end"), names.count("epoch end")) == (batches, epochs)
    assert names[-1] == "train end" and "test end" in names


def test_any_function_becomes_a_callback():
    seen = []
    hook = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, set(logs))))
    small_model().fit(X, Y, epochs=2, verbose=0, callbacks=[hook])
    assert seen == [(0, {"loss", "mae"}), (1, {"loss", "mae"})]
