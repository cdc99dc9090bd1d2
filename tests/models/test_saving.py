"""Models on disk: the same after loading, and never more than a model."""

import importlib
import json
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest

from visus.models import Classifier, Trunk, create, load, save
from visus.models import archive as archive_module
from visus.models.entries import MODELS
from visus.structures import ImageSpec, InputError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    spec = ImageSpec(28, 36, channels=1, resize="letterbox", crop_fraction=1.0, interpolation="bicubic")
    model = create("lenet-5-original", class_names=("ä", "b c", "d/e"), image_spec=spec, label_smoothing=0.1)
    return model, save(model, tmp_path_factory.mktemp("saved") / "model.keras")


def edited(path, target, **changes):
    """A copy of the archive with members replaced (bytes), transformed (callable) or left out (None)."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as out:
        for name in archive.namelist():
            change = changes.get(name.replace(".", "_"), "keep")
            if change is not None:
                content = archive.read(name)
                out.writestr(name, content if change == "keep" else change(content))
    return target


def config_changed(path, target, change):
    def rewritten(content):
        config = json.loads(content)
        change(config)
        return json.dumps(config)

    return edited(path, target, config_json=rewritten)


def test_loading_gives_the_same_model(saved):
    model, path = saved
    loaded = load(path)
    x = np.random.default_rng(0).integers(0, 256, (3, 28, 36, 1)).astype("f4")
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0)["logits"], model.predict(x, verbose=0)["logits"]
    )
    assert type(loaded) is type(model)
    assert loaded.class_names == ("ä", "b c", "d/e")
    assert loaded.image_spec == model.image_spec
    assert loaded.get_config() == model.get_config()
    assert loaded.get_config()["versions"]["keras"] == keras.__version__
    assert load(path.parent).class_names == model.class_names


def test_saving_leaves_nothing_half(tmp_path, saved, monkeypatch):
    model, _ = saved
    save(model, tmp_path / "a.keras")
    before = (tmp_path / "a.keras").read_bytes()

    def full_disk(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save(model, tmp_path / "a.keras")
    assert (tmp_path / "a.keras").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.keras"]
    with pytest.raises(InputError, match=r"ends in \.keras"):
        save(model, tmp_path / "a.h5")


def test_files_that_are_no_models_have_their_sentence(tmp_path, saved):
    _, path = saved
    with pytest.raises(InputError, match="There is no model at"):
        load(tmp_path / "none.keras")
    with pytest.raises(InputError, match="Found: none"):
        load(tmp_path)
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(InputError, match="not a Keras model, or it is damaged"):
        load(tmp_path / "text.keras")
    shutil.copy(path, tmp_path / "b.keras")
    with pytest.raises(InputError, match=r"Found: b\.keras, text\.keras"):
        load(tmp_path)
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("hello", "hello")
    with pytest.raises(InputError, match=r"lacks config\.json"):
        load(tmp_path / "zip.keras")
    cut = tmp_path / "cut.keras"
    cut.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="damaged"):
        load(cut)


def test_broken_weights_and_configurations_have_their_sentence(tmp_path, saved):
    _, path = saved
    broken = edited(path, tmp_path / "a.keras", model_weights_h5=lambda content: content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged, or was changed"):
        load(broken)
    other = config_changed(path, tmp_path / "b.keras", lambda c: c["config"].update(class_names=["a", "b"]))
    with pytest.raises(InputError, match="damaged, or was changed"):
        load(other)
    unknown = config_changed(path, tmp_path / "c.keras", lambda c: c["config"].update(nonsense=1))
    with pytest.raises(InputError, match="damaged, or was changed"):
        load(unknown)
    newer = config_changed(path, tmp_path / "d.keras", lambda c: c["config"].update(format=99))
    with pytest.raises(InputError, match=r"configuration format 99, and visus .* reads format 1"):
        load(newer)
    for content in (b"[]", b"3", b"{}", b"null", b"{", b"\xff"):
        with pytest.raises(InputError, match=r"not a Keras model|not a model of visus"):
            load(edited(path, tmp_path / "e.keras", config_json=lambda _, content=content: content))


def test_foreign_models_are_refused_by_name(tmp_path, saved):
    foreign = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    foreign.save(tmp_path / "foreign.keras")
    with pytest.raises(InputError, match=r"not a model of visus: it is made of .*Sequential"):
        load(tmp_path / "foreign.keras")


def test_a_file_cannot_name_other_code(tmp_path, saved):
    _, path = saved
    evil = {
        "module": "os",
        "class_name": "system",
        "config": f"touch {tmp_path / 'witness'}",
        "registered_name": None,
    }
    for change in (
        lambda c: c.update(evil),
        lambda c: c["config"].update(trunk=evil),
        lambda c: c["config"].update(class_names=[evil]),
        lambda c: c["config"]["image_spec"].update(height=evil),
    ):
        with pytest.raises(InputError, match=r"made of os\.system"):
            load(config_changed(path, tmp_path / "evil.keras", change))
    lambda_layer = keras.layers.Lambda(lambda x: x)
    config = keras.saving.serialize_keras_object(lambda_layer)
    with pytest.raises(InputError, match=r"made of keras\.layers\.Lambda"):
        load(config_changed(path, tmp_path / "evil.keras", lambda c: c["config"].update(trunk=config)))
    assert not (tmp_path / "witness").exists()


def test_only_networks_of_visus_pass_under_their_full_name(tmp_path, saved):
    """Keras would import any module of its own for a class that nobody registered."""
    _, path = saved
    own = {"module": "visus.models.classify.lenet", "class_name": "LeNet5", "registered_name": "visus>LeNet5"}
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    assert own.items() <= config.items()
    assert archive_module._foreign(config) is None
    for change in (
        {"registered_name": "visus>nope"},
        {"class_name": "nope", "registered_name": "visus>nope"},
        {"class_name": "CodeDistance", "registered_name": "visus>CodeDistance"},  # a layer
        {"registered_name": None},
        {"registered_name": "LeNet5"},
        {"module": "keras.src.models.model", "class_name": "Model", "registered_name": "visus>nope"},
        {"module": "keras.src.layers.core.lambda_layer", "class_name": "Lambda"},
        {"module": "keras.src.utils.file_utils", "class_name": "function", "config": "get_file"},
        {"module": "keras.layers"},
        {"class_name": "__lambda__"},
        {"class_name": "__typespec__", "spec_name": "TensorSpec"},
        {"class_name": ["LeNet5"]},
    ):
        with pytest.raises(InputError, match="not a model of visus: it is made of"):
            load(config_changed(path, tmp_path / "a.keras", lambda c, change=change: c.update(change)))
        inner = {**own, "config": {}, **change}
        with pytest.raises(InputError, match="not a model of visus: it is made of"):
            load(
                config_changed(
                    path,
                    tmp_path / "a.keras",
                    lambda c, inner=inner: c["config"].update(compile_config=inner),
                )
            )


def test_every_registered_network_is_known_without_keras():
    for file in sorted(MODELS.glob("*/*.py")):
        importlib.import_module(f"visus.models.{file.parent.name}.{file.stem}")
    registered = {
        cls.__name__: cls.__module__
        for name, cls in keras.saving.get_custom_objects().items()
        if name.startswith("visus>") and isinstance(cls, type) and issubclass(cls, (Classifier, Trunk))
    }
    assert archive_module._networks() == registered
    assert len(registered) >= 6


def test_weights_that_point_outside_the_file_are_refused(tmp_path, saved):
    """HDF5 can link to other files: a model must not read somebody's secrets into its weights."""
    _, path = saved
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["vars"] = np.zeros(3)

    def linked(content):
        inside = tmp_path / "inside.h5"
        inside.write_bytes(content)
        with h5py.File(inside, "r+") as file:
            name = next(iter(file))
            del file[name]
            file[name] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/")
        return inside.read_bytes()

    with pytest.raises(InputError, match="damaged, or was changed"):
        load(edited(path, tmp_path / "linked.keras", model_weights_h5=linked))


def test_bombs_are_refused_before_they_unpack(tmp_path, saved, monkeypatch):
    _, path = saved
    monkeypatch.setattr("visus.models.archive.MAX_BYTES", 1000)
    with pytest.raises(InputError, match="claims to unpack"):
        load(path)
    monkeypatch.undo()
    monkeypatch.setattr("visus.models.archive.MAX_CONFIG_BYTES", 10)
    with pytest.raises(InputError, match="configuration of over"):
        load(path)
