"""Every runtime is asked the same questions; the cache is damaged, filled and shared."""

import ast
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import visus
from visus import runtime
from visus.models import create, save
from visus.runtime import cache, compiled
from visus.runtime.frozen import infer
from visus.structures import InputError

SIZE = (20, 28)
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:tensorflow", "ignore::FutureWarning:tf2onnx"
)


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def model():
    """Two outputs of different rank, whose alphabetical order is not the order in which they are made."""
    keras.utils.set_random_seed(3)
    image = keras.Input((*SIZE, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="swish")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.layers.BatchNormalization()(x)
    maps = keras.layers.Dropout(0.5)(keras.layers.ReLU(6.0)(x))
    logits = keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(maps))
    return keras.Model(image, {"maps": maps, "logits": logits, "another": keras.layers.Softmax()(logits)})


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(0).uniform(0, 255, (5, *SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module", params=compiled.KINDS)
def run(request, model, cache_dir):
    if not compiled._kind(request.param).available():
        pytest.skip(f"{request.param} is not installed")
    return runtime.compile(model, kind=request.param, cache_dir=cache_dir)


def test_the_files_are_the_runtimes():
    folder = Path(compiled.kinds.__file__).parent
    assert set(compiled.KINDS) == {f.stem for f in folder.glob("*.py")} - {"__init__"} == set(compiled.ORDER)
    for kind in compiled.KINDS:
        for name in ("PACKAGES", "PIECE", "available", "convert", "load"):
            assert hasattr(compiled._kind(kind), name), (kind, name)


def test_equals_keras_by_name(run, model, batch):
    truth = infer(model, batch)
    given = run(batch)
    assert list(given) == sorted(truth) == list(run.outputs)
    for name, values in truth.items():
        assert given[name].dtype == np.float32
        assert_allclose(given[name], values, atol=2e-5 * np.abs(values).max(), rtol=0)
    assert run.parity <= 1e-5
    assert run.outputs["maps"] == tuple(model.output["maps"].shape[1:])


def test_a_picture_alone_and_among_others(run, batch):
    # Bit for bit wherever pictures are computed one by one; Keras computes them together, to rounding.
    together = run(batch)
    for name in together:
        alone = np.concatenate([run(batch[i : i + 1])[name] for i in range(len(batch))])
        if run.piece == 1:
            assert_array_equal(alone, together[name])
        else:
            assert_allclose(alone, together[name], rtol=0, atol=1e-5 * np.abs(alone).max())


def test_repeats_and_does_not_hand_out_its_own_memory(run, batch):
    first = run(batch)
    kept = {name: values.copy() for name, values in first.items()}
    run(batch[::-1].copy())
    for name in first:
        assert_array_equal(first[name], kept[name])
        assert_array_equal(run(batch)[name], kept[name])


def test_batches_of_any_size(run, batch):
    assert run(batch[:0])["maps"].shape == (0, *run.outputs["maps"])
    many = np.concatenate([batch] * 8)[:37]  # more than the largest piece
    assert_allclose(run(many)["logits"], np.concatenate([run(batch)["logits"]] * 8)[:37], atol=1e-4)
    sliced = np.repeat(batch, 2, axis=3)[..., ::2]  # not contiguous
    assert_array_equal(run(sliced)["logits"], run(batch)["logits"])


def test_calls_from_many_threads(run, batch):
    truth = run(batch)["logits"]
    wrong = []

    def call(i):
        for _ in range(10):
            if not np.allclose(run(batch[i : i + 1])["logits"], truth[i : i + 1], atol=1e-4):
                wrong.append(i)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_refuses_other_batches(run, batch):
    with pytest.raises(ValueError, match=r"float32 batches of shape \(batch, 20, 28, 3\).*uint8"):
        run(batch.astype(np.uint8))
    with pytest.raises(ValueError, match=r"Received float32 of shape \(5, 20, 20, 3\)"):
        run(batch[:, :, :20])


def test_any_picture_size(cache_dir):
    image = keras.Input((None, None, 1))
    model = keras.Model(image, keras.layers.Conv2D(2, 3, strides=2, padding="same")(image))
    small, large = np.ones((2, 9, 12, 1), np.float32), np.ones((1, 15, 33, 1), np.float32)
    for kind in compiled.KINDS:
        run = runtime.compile(model, kind=kind, cache_dir=cache_dir)
        for pictures in (small, large, small):
            found = run(pictures)["output"]
            assert_allclose(found, infer(model, pictures)["output"], atol=1e-5)


def test_compiles_once(model, batch, cache_dir, monkeypatch):
    truth = runtime.compile(model, kind="litert", cache_dir=cache_dir)(batch)["logits"]
    monkeypatch.setattr(compiled, "_convert", lambda *_: pytest.fail("converted again"))
    assert_array_equal(runtime.compile(model, kind="litert", cache_dir=cache_dir)(batch)["logits"], truth)
    before = model.get_weights()
    try:
        model.set_weights([*before[:-1], before[-1] + 1.0])
        with pytest.raises(InputError, match="could not convert"):  # other weights, another entry
            monkeypatch.setattr(compiled, "_convert", _fail)
            runtime.compile(model, kind="litert", cache_dir=cache_dir)
    finally:
        model.set_weights(before)


def _fail(*_):
    raise RuntimeError("no such operation: Frobnicate")


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete", "manifest", "empty manifest"])
def test_a_damaged_entry_is_made_again(model, batch, tmp_path, damage):
    truth = runtime.compile(model, kind="litert", cache_dir=tmp_path)(batch)["logits"]
    (entry,) = (tmp_path / "runtime").iterdir()
    file, manifest = entry / "model.tflite", entry / cache.MANIFEST
    content = file.read_bytes()
    if damage == "truncate":
        file.write_bytes(content[:1000])
    elif damage == "flip":
        file.write_bytes(content[:-200] + bytes([content[-200] ^ 255]) + content[-199:])
    elif damage == "delete":
        file.unlink()
    else:
        manifest.write_text('{"files": 3}' if damage == "manifest" else "")
    assert_array_equal(runtime.compile(model, kind="litert", cache_dir=tmp_path)(batch)["logits"], truth)
    assert file.read_bytes() == content
    assert sorted(p.name for p in (tmp_path / "runtime").iterdir()) == [entry.name]


def test_the_cache_is_bounded_and_can_be_cleared(tmp_path):
    root = tmp_path / "runtime"

    def fill(folder):
        (folder / "weights").write_bytes(bytes(1000))
        return {}

    for i, key in enumerate("abcd"):
        cache.add(root, key, fill, limit=3500)
        os.utime(root / key, (i, i))
    assert sorted(p.name for p in root.iterdir()) == ["b", "c", "d"]
    assert cache.find(root, "b") is not None  # and so it is the most recently used
    cache.add(root, "e", fill, limit=2500)
    assert sorted(p.name for p in root.iterdir()) == ["b", "e"]
    cache.add(root, "f", fill, limit=10)
    assert [p.name for p in root.iterdir()] == ["f"]
    (tmp_path / "runtime" / "notes.txt").write_text("mine")
    assert cache.clear(tmp_path) == 1
    assert [p.name for p in root.iterdir()] == ["notes.txt"]


def test_a_failed_entry_leaves_nothing(tmp_path):
    def fill(folder):
        (folder / "half").write_bytes(b"1")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cache.add(tmp_path, "key", fill)
    assert list(tmp_path.iterdir()) == []


def test_without_a_writable_cache(model, batch, tmp_path):
    (tmp_path / "runtime").write_text("a file where the folder should be")
    run = runtime.compile(model, kind="litert", cache_dir=tmp_path)
    assert_allclose(run(batch)["logits"], infer(model, batch)["logits"], atol=1e-4)


def test_the_folder_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VISUS_CACHE", str(tmp_path))
    assert cache.folder() == tmp_path / "runtime"
    assert cache.folder("elsewhere") == Path("elsewhere/runtime")
    monkeypatch.delenv("VISUS_CACHE")
    assert cache.folder() == Path.home() / ".cache" / "visus" / "runtime"


def test_what_differs_is_refused(model, cache_dir, batch):
    with pytest.raises(
        InputError, match=r"litert was not used: its results differ from Keras by .*e-\d\d of"
    ):
        runtime.compile(model, kind="litert", tolerance=0.0, cache_dir=cache_dir)
    run = runtime.compile(model, tolerance=0.0, cache_dir=cache_dir)
    assert run.kind in ("onnxruntime", "openvino", "keras")
    assert "The runtime litert was not used: its results differ" in run.notes[0]
    real = runtime.compile(model, kind="litert", cache_dir=cache_dir, pictures=batch)
    assert real.parity >= runtime.compile(model, kind="litert", cache_dir=cache_dir).parity


def test_parity_is_the_largest_difference_over_the_largest_magnitude():
    image = keras.Input((4, 6, 1))
    model = keras.Model(image, keras.layers.GlobalMaxPooling2D()(image))  # at most 255
    about = compiled._checked_about(model)
    assert compiled._parity(lambda b: [b.max(axis=(1, 2))], model, about, None) == 0.0
    assert compiled._parity(lambda b: [b.max(axis=(1, 2)) + 2.55], model, about, None) == pytest.approx(
        0.01, rel=1e-5
    )
    assert compiled._parity(lambda b: [b.max(axis=(1, 2)) * np.nan], model, about, None) == np.inf
    assert compiled._parity(lambda b: [b.max(axis=1)], model, about, None) == np.inf


def test_auto_falls_back_to_keras(model, batch, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "_convert", _fail)
    run = runtime.compile(model, cache_dir=tmp_path)
    assert run.kind == "keras"
    assert run.parity == 0.0
    assert "litert was not used: it could not convert the model (RuntimeError: no such op" in run.notes[0]
    assert_allclose(run(batch)["logits"], infer(model, batch)["logits"], atol=1e-5)
    monkeypatch.undo()  # and what failed once with these versions is not tried again
    assert runtime.compile(model, cache_dir=tmp_path).kind == "keras"


def test_auto_takes_what_is_installed(model, cache_dir, monkeypatch):
    for kind in ("litert", "openvino", "onnxruntime"):
        monkeypatch.setattr(compiled._kind(kind), "available", lambda: False)
    run = runtime.compile(model, cache_dir=cache_dir)
    assert (run.kind, run.notes) == ("keras", ())
    with pytest.raises(InputError, match="litert was not used: it is not installed"):
        runtime.compile(model, kind="litert", cache_dir=cache_dir)


def test_the_interpreter_of_tensorflow_serves_too(model, batch, cache_dir, monkeypatch):
    truth = runtime.compile(model, kind="litert", cache_dir=cache_dir)(batch)["logits"]
    litert = compiled._kind("litert")
    monkeypatch.setattr(litert, "find_spec", lambda name: None if name == "ai_edge_litert" else object())
    run = runtime.compile(model, kind="litert", cache_dir=cache_dir)
    assert "tensorflow" in litert._interpreter().__module__
    assert_array_equal(run(batch)["logits"], truth)


def test_bad_arguments(tmp_path):
    with pytest.raises(InputError, match=r"no runtime .tensorrt.\. Choose auto, litert"):
        runtime.compile(tmp_path, kind="tensorrt")
    with pytest.raises(InputError, match=r"no model at .*missing.keras"):
        runtime.compile(tmp_path / "missing.keras")
    with pytest.raises(InputError, match=r"should hold model.keras, or one .keras file. Found: none"):
        runtime.compile(tmp_path)
    vector = keras.Sequential([keras.Input((7,)), keras.layers.Dense(2)])
    with pytest.raises(InputError, match=r"one input of shape \(batch, height, width, channels\)"):
        runtime.compile(vector, cache_dir=tmp_path)


def test_a_file_that_was_compiled_runs_without_keras(tmp_path):
    model = create("histology-v1", class_names=("a", "b", "c"), image_size=(48, 60), weights="none", seed=1)
    save(model, tmp_path / "model.keras")
    batch = np.random.default_rng(2).uniform(0, 255, (2, 48, 60, 3)).astype(np.float32)
    run = runtime.compile(tmp_path, cache_dir=tmp_path)
    assert run.class_names == ("a", "b", "c")
    assert run.image_spec == model.image_spec
    np.save(tmp_path / "batch.npy", batch)
    code = """
import json, sys, numpy as np
import visus
from visus import runtime
run = runtime.compile(sys.argv[1], cache_dir=sys.argv[1])
logits = run(np.load(sys.argv[1] + "/batch.npy"))["logits"].tolist()
loaded = [m for m in ("keras", "tensorflow", "jax", "torch") if m in sys.modules]
print(json.dumps([run.kind, run.class_names, logits, loaded]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    kind, names, logits, loaded = json.loads(done.stdout)
    assert (kind, names, loaded) == (run.kind, ["a", "b", "c"], [])
    assert_array_equal(np.array(logits, np.float32), run(batch)["logits"])
    assert_allclose(logits, infer(model, batch)["logits"], atol=1e-4)
    assert done.stderr == ""


def test_half_a_batch_norm_is_no_excuse(cache_dir):
    """A conversion of a model in training mode would drop units and use the batch's own statistics."""
    image = keras.Input((6, 9, 3))
    model = keras.Model(image, keras.layers.Dropout(0.9)(keras.layers.BatchNormalization()(image)))
    batch = np.full((2, 6, 9, 3), 200.0, np.float32)
    run = runtime.compile(model, cache_dir=cache_dir)
    assert_allclose(run(batch)["output"], batch / np.sqrt(1.001), rtol=1e-5)


@pytest.fixture
def attempts(monkeypatch):
    """Every attempt to reach the network."""
    made = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: made.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **options: made.append(address) or [])
    return made


def test_openvino_sends_nothing(model, batch, tmp_path, attempts, monkeypatch):
    if not compiled._kind("openvino").available():
        pytest.skip("OpenVINO is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CI", "TF_BUILD", "JENKINS_URL"):  # where it would be silent of its own accord
        monkeypatch.delenv(name, raising=False)
    threads = set(threading.enumerate())
    runtime.compile(model, kind="openvino", cache_dir=tmp_path / "cache")(batch)
    assert attempts == []
    assert set(threading.enumerate()) == threads
    assert "openvino_telemetry" not in sys.modules
    assert sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__.endswith("telemetry_stub")
    assert not (tmp_path / "intel").exists()  # where its client id and its statistics would lie


def test_only_one_place_imports_openvino():
    """`import openvino` reports itself to a server, unless it cannot find its telemetry package."""
    found = []
    for file in Path(visus.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [file.name for name in names if name.split(".")[0] == "openvino"]
    assert found == ["openvino.py"]


def test_a_sequential_model(cache_dir):
    model = keras.Sequential([keras.Input((8, 12, 3)), keras.layers.Conv2D(2, 3)])
    for kind in compiled.KINDS:
        assert runtime.compile(model, kind=kind, cache_dir=cache_dir).outputs == {"output": (6, 10, 2)}


def test_a_model_whose_input_is_a_list(model, batch, cache_dir):
    same = keras.Model(model.inputs, {"logits": model.output["logits"]})
    for kind in compiled.KINDS:
        run = runtime.compile(same, kind=kind, cache_dir=cache_dir)
        assert_allclose(run(batch)["logits"], infer(model, batch)["logits"], atol=1e-4)
