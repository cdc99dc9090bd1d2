"""What a training leaves for TensorBoard, read with TensorBoard."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from visus.train.callbacks import (
    EarlyStopping,
    LiveCurves,
    PredictionGrid,
    ReduceLROnPlateau,
    TensorBoard,
    check_callbacks,
)
from visus.train.projector import write_projector
from visus.train.schedules import Constant, Scheduled

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

X = np.linspace(-1, 1, 30, dtype="float32").reshape(10, 3)
Y = np.arange(10, dtype="float32")[:, None]


def accumulated(folder):
    return event_accumulator.EventAccumulator(
        str(folder), size_guidance={"scalars": 0, "tensors": 0}
    ).Reload()


def points(folder, tag):
    return [(s.step, s.value) for s in accumulated(folder).Scalars(tag)]


def new_model():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones", name="out")]
    )
    model.compile(keras.optimizers.SGD(0.01), loss="mse", metrics=["mae"])
    return model


def test_train_and_validation_are_runs_of_their_own(tmp_path):
    callback = TensorBoard(
        tmp_path, phase="head", steps_every=2, histograms_every=2, graph=True, hparams={"units": 1}
    )
    history = new_model().fit(
        X, Y, batch_size=2, epochs=3, validation_data=(X, Y), verbose=0, callbacks=[callback]
    ).history  # fmt: skip
    train, validation = tmp_path / "head" / "train", tmp_path / "head" / "validation"
    for folder, prefix in ((train, ""), (validation, "val_")):
        for name in ("loss", "mae"):
            steps, values = zip(*points(folder, name))
            assert steps == (1, 2, 3) and values == pytest.approx(history[prefix + name])
    assert [value for _, value in points(train, "learning_rate")] == pytest.approx([0.01] * 3)
    assert [step for step, _ in points(tmp_path / "head" / "steps", "loss")] == [2, 4, 6, 8, 10, 12, 14]
    read = accumulated(train)
    assert [event.step for event in read.Tensors("out/kernel")] == [2]
    assert "_hparams_/session_end_info" in read.Tags()["tensors"]
    nodes = {node.name: list(node.input) for node in read.Graph().node}
    assert nodes["out"] and set(nodes["out"]) <= set(nodes)


def test_a_resumed_training_has_no_doubled_points(tmp_path):
    model = new_model()
    model.fit(X, Y, batch_size=2, epochs=4, verbose=0, callbacks=[TensorBoard(tmp_path, steps_every=1)])
    model.optimizer.iterations.assign(10)  # as a checkpoint after two epochs says
    history = model.fit(X, Y, batch_size=2, epochs=5, initial_epoch=2, verbose=0,
                        callbacks=[TensorBoard(tmp_path, steps_every=1)])  # fmt: skip
    losses = points(tmp_path / "train", "loss")
    assert [step for step, _ in losses] == [1, 2, 3, 4, 5]
    assert [value for _, value in losses][2:] == pytest.approx(history.history["loss"])
    assert [step for step, _ in points(tmp_path / "steps", "loss")] == list(range(1, 26))


def test_live_curves_draw_and_resume(tmp_path):
    path = tmp_path / "curves.png"
    first, second = LiveCurves(path), LiveCurves(path)
    first.on_train_begin()
    first.on_epoch_end(0, {"loss": 1.0, "accuracy": 0.5})
    before = path.read_bytes()
    first.on_epoch_end(1, {"loss": 0.5, "accuracy": 0.6, "val_loss": 0.7, "val_accuracy": 0.4})
    assert path.read_bytes() != before
    second.restore(json.loads(json.dumps(first.state())))
    second.on_train_begin()
    second.on_epoch_end(2, {"loss": 0.4})
    assert [row["loss"] for row in second.history] == [1.0, 0.5, 0.4]
    assert first.history == second.history[:2]
    with Image.open(path) as image:
        image.verify()
    assert [p.name for p in tmp_path.iterdir()] == ["curves.png"]
    second.on_train_begin()  # a new training
    assert second.history == []


def test_a_grid_of_predictions(tmp_path):
    images = np.zeros((5, 6, 9, 3), np.uint8)
    images[:, 2, 3] = (255, 0, 0)
    model = keras.Sequential(
        [keras.Input((6, 9, 3)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )
    model.compile("sgd", loss="categorical_crossentropy")
    grid = PredictionGrid(tmp_path, images, ["$ant$", "bee^"], [0, 1, 0, 1, 0], every=2)
    model.fit(images.astype("float32"), np.eye(2)[[0, 1, 0, 1, 0]], epochs=5, verbose=0, callbacks=[grid])
    assert [event.step for event in accumulated(tmp_path / "pictures").Tensors("predictions")] == [2, 4]
    drawn = grid.draw()
    assert drawn.dtype == np.uint8 and drawn.shape == (393, 880, 3)
    right, wrong = grid._caption(0, np.array([0.75, 0.25])), grid._caption(1, np.array([0.75, 0.25]))
    assert right == ("$ant$ 0.75", "green") and wrong == ("$ant$ 0.75\nis bee^", "red")


def test_projector_files(tmp_path):
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    vectors, pictures = np.arange(12.0).reshape(3, 4), np.zeros((3, 2, 5, 3), np.uint8)
    pictures[2] = 255
    path = write_projector(
        tmp_path,
        vectors,
        columns={"label": ["a", "b\tc", "d"], "n": [1, 2, 3]},
        pictures=pictures,
        name="x y",
    )
    (embedding,) = text_format.Parse(path.read_text(), ProjectorConfig()).embeddings
    assert list(embedding.tensor_shape) == [3, 4] and list(embedding.sprite.single_image_dim) == [5, 2]
    assert np.fromfile(tmp_path / embedding.tensor_path, "<f4").reshape(3, 4).tolist() == vectors.tolist()
    assert (tmp_path / embedding.metadata_path).read_text() == "label\tn\na\t1\nb c\t2\nd\t3\n"
    with Image.open(tmp_path / embedding.sprite.image_path) as image:
        sprite = np.array(image)
    assert sprite.shape == (4, 10, 3) and (sprite[2:, :5] == 255).all() and sprite.sum() == 2 * 5 * 3 * 255
    with pytest.raises(ValueError, match="'label': 2"):
        write_projector(tmp_path, vectors, columns={"label": ["a", "b"]})
    with pytest.raises(ValueError, match="8192"):
        write_projector(tmp_path, vectors, pictures=np.zeros((3, 5000, 1, 3), np.uint8))


def test_callbacks_are_checked():
    good = [EarlyStopping(), keras.callbacks.History()]
    assert check_callbacks(iter(good)) == good
    with pytest.raises(TypeError, match=r"callbacks\[1\] is the class EarlyStopping\. Pass an object"):
        check_callbacks([EarlyStopping(), EarlyStopping])
    with pytest.raises(TypeError, match="LambdaCallback"):
        check_callbacks([print])
    with pytest.raises(ValueError, match="both set the learning rate"):
        check_callbacks([Scheduled(Constant(0.1)), ReduceLROnPlateau()])
