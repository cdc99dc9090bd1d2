"""Weights out of torch checkpoints, without torch and without running anything that the file says.

A torch checkpoint is a pickle plus raw numbers, and unpickling runs whatever the pickle asks for. This reader
walks the pickle's opcodes itself. It knows the few opcodes and the three globals that a dictionary of tensors
needs, and refuses everything else by name.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import pickletools
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np

from visus.models.entries import Pretrained
from visus.structures import InputError

if TYPE_CHECKING:
    import keras

MAX_BYTES = 4 << 30
MAX_OPCODES = 1_000_000
MAX_DIMENSIONS = 8

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch DoubleStorage": np.dtype("<f8"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch BFloat16Storage": np.dtype("<u2"),  # widened to float32 below
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
    "torch ShortStorage": np.dtype("<i2"),
    "torch CharStorage": np.dtype("i1"),
    "torch ByteStorage": np.dtype("u1"),
    "torch BoolStorage": np.dtype("?"),
}
_GLOBALS = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", *_DTYPES}


class _RefusedError(Exception):
    """What is wrong with the file, without its name."""


def _refuse(what: str) -> NoReturn:
    raise _RefusedError(what)


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    kind: str
    key: str
    count: int

    @property
    def bytes(self) -> int:
        return self.count * _DTYPES[self.kind].itemsize


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def read_checkpoint(path: str | Path, *, max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Reads the tensors of a torch file, of the old format or the zip format, as NumPy arrays.

    Nothing of the file is executed. A dictionary of tensors is expected, or one that holds such a dictionary
    under `state_dict`, `model` or another name.

    Args:
        path: A `.pth` or `.pt` file.
        max_bytes: Larger files are refused.

    Returns:
        Name -> read-only array, in the layout of torch (convolution kernels `(out, in, height, width)`);
        bfloat16 becomes float32.

    Raises:
        InputError: The file is missing, damaged, too large, or contains anything but tensors; the message
            names the opcode or global.

    Example:
        >>> tensors = read_checkpoint("efficientnet-lite0-57934424.pth")    # doctest: +SKIP
        >>> tensors["_fc.weight"].shape                                     # doctest: +SKIP
        (1000, 1280)
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if not path.is_file():
            _refuse("it is not a regular file")
        if size > max_bytes:
            _refuse(f"it has {size} bytes, and the limit is {max_bytes}")
        with path.open("rb") as stream:
            zipped = stream.read(4) == b"PK\x03\x04"
            stream.seek(0)
            content, storages = (
                _read_zip(stream, size) if zipped else _read_legacy(io.BytesIO(stream.read(size)))
            )
        tensors = _find_tensors(content)
        return {name: _array(tensor, storages) for name, tensor in tensors.items()}
    except _RefusedError as refused:
        raise InputError(
            f"{path} is not a torch file that visus reads: {refused}. Expected a dictionary of tensors as "
            "torch.save(model.state_dict(), path) writes it."
        ) from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None


# --- the two containers -----------------------------------------------------------------------------------


def _read_legacy(stream: io.BytesIO) -> tuple[Any, dict[str, np.ndarray]]:
    """Pickles: a magic number, a version, the system, the content, the storage keys; then the numbers."""
    if _walk(stream)[0] != _MAGIC:
        _refuse("it does not begin with torch's magic number")
    if _walk(stream)[0] != _PROTOCOL:
        _refuse("its protocol is not 1001")
    system = _walk(stream)[0]
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        _refuse("it was not written on a little-endian machine")
    content, declared = _walk(stream)
    keys, _ = _walk(stream)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        _refuse("its list of storages is not a list of names")
    buffer = stream.getbuffer()
    position, arrays = stream.tell(), {}
    for key in keys:
        storage = declared.get(key)
        if storage is None:
            _refuse("it lists a storage that no tensor uses")
        if len(buffer) < position + 8 + storage.bytes:
            _refuse("it ends before its numbers do; the file is truncated")
        if int.from_bytes(buffer[position : position + 8], "little") != storage.count:
            _refuse("a storage has another length than its tensors say")
        position += 8
        arrays[key] = _numbers(buffer[position : position + storage.bytes], storage)
        position += storage.bytes
    return content, arrays


def _read_zip(stream: BinaryIO, size: int) -> tuple[Any, dict[str, np.ndarray]]:
    """`NAME/data.pkl` with the content, `NAME/data/KEY` with the numbers of a storage, all uncompressed."""
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            if any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()):
                _refuse("its zip entries are compressed, which torch never does")
            if sum(info.file_size for info in archive.infolist()) > size:
                _refuse("its zip entries claim more bytes than the file has")
            pickles = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(pickles) != 1:
                _refuse(f"it has {len(pickles)} entries named NAME/data.pkl instead of one")
            root = pickles[0].removesuffix("data.pkl")
            if root + "byteorder" in entries and archive.read(root + "byteorder") != b"little":
                _refuse("it was not written on a little-endian machine")
            content, declared = _walk(io.BytesIO(archive.read(pickles[0])))
            arrays = {}
            for key, storage in declared.items():
                name = f"{root}data/{key}"
                if name not in entries or entries[name].file_size != storage.bytes:
                    _refuse(
                        "the numbers of a storage are missing or have another length than its tensors say"
                    )
                arrays[key] = _numbers(archive.read(name), storage)
            return content, arrays
    except _RefusedError:
        raise
    except Exception as error:  # whatever zipfile makes of a hostile archive
        raise _RefusedError(f"its zip container is damaged ({type(error).__name__}: {error})") from None


def _numbers(buffer: Any, storage: _Storage) -> np.ndarray:
    array: np.ndarray = np.frombuffer(buffer, _DTYPES[storage.kind])
    if storage.kind == "torch BFloat16Storage":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    array.setflags(write=False)
    return array


# --- the pickle -------------------------------------------------------------------------------------------

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _walk(stream: io.BytesIO) -> tuple[Any, dict[str, _Storage]]:
    """Interprets one pickle; returns its object and the storages that it declares.

    Objects are only ever None, numbers, strings, tuples, lists, dicts, `_Global`, `_Storage` and `_Tensor`.
    None of them is printed, compared or hashed as a whole: nested ones can be exponentially large when
    spelled out.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    storages: dict[str, _Storage] = {}

    def pop(count: int) -> list[Any]:
        floor = marks[-1] if marks else 0
        if len(stack) - count < floor:
            _refuse("its pickle takes more from the stack than there is")
        taken = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        return taken

    def pop_mark() -> list[Any]:
        if not marks:
            _refuse("its pickle takes a mark that is not there")
        start = marks.pop()
        taken = stack[start:]
        del stack[start:]
        return taken

    def container(kind: type) -> Any:
        if len(stack) <= (marks[-1] if marks else 0) or type(stack[-1]) is not kind:
            _refuse(f"its pickle fills something that is not a {kind.__name__}")
        return stack[-1]

    for count, (name, argument) in enumerate(_opcodes(stream)):
        if count >= MAX_OPCODES:
            _refuse(f"its pickle has more than {MAX_OPCODES} opcodes")
        if name == "PROTO":
            if not 2 <= argument <= 3:
                _refuse(f"it is a pickle of protocol {argument}, and torch writes protocol 2")
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            stack.append(argument)
        elif name in _TUPLES:
            stack.append(tuple(pop(_TUPLES[name])))
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "TUPLE":
            stack.append(tuple(pop_mark()))
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name in ("BINPUT", "LONG_BINPUT"):
            if len(stack) <= (marks[-1] if marks else 0):
                _refuse("its pickle remembers something from an empty stack")
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            if argument not in memo:
                _refuse("its pickle recalls something that it never remembered")
            stack.append(memo[argument])
        elif name == "APPEND":
            items = pop(1)
            container(list).extend(items)
        elif name == "APPENDS":
            items = pop_mark()
            container(list).extend(items)
        elif name == "SETITEM":
            pairs = pop(2)
            _set_items(container(dict), pairs)
        elif name == "SETITEMS":
            pairs = pop_mark()
            _set_items(container(dict), pairs)
        elif name == "GLOBAL":
            if argument not in _GLOBALS:
                _refuse(f"it asks for the global {_short(argument)}")
            stack.append(_Global(argument))
        elif name == "BINPERSID":
            storage = _storage(pop(1)[0])
            if storages.setdefault(storage.key, storage) != storage:
                _refuse("it declares one storage twice, differently")
            stack.append(storage)
        elif name == "REDUCE":
            function, arguments = pop(2)
            stack.append(_call(function, arguments))
        elif name == "BUILD":  # the attribute _metadata of a state dict: version numbers, not needed
            pop(1)
            container(dict)
        elif name == "STOP":
            return pop(1)[0], storages
        else:
            _refuse(f"it uses the pickle opcode {name}")
    _refuse("its pickle does not stop")


def _opcodes(stream: io.BytesIO) -> Any:
    """Names and arguments of a pickle's opcodes; `pickletools` parses, it never runs anything."""
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            yield opcode.name, argument
    except _RefusedError:
        raise
    except Exception as error:
        raise _RefusedError(f"its pickle is damaged ({type(error).__name__}: {_short(str(error))})") from None


def _short(text: str) -> str:
    return repr(text[:80]) + ("..." if len(text) > 80 else "")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 40


def _set_items(target: dict[Any, Any], pairs: list[Any]) -> None:
    if len(pairs) % 2:
        _refuse("its pickle has a key without a value")
    for key, value in zip(pairs[::2], pairs[1::2]):
        if type(key) is not str and not (_is_count(key) and key < 1 << 31):
            _refuse(f"its pickle has a dictionary with a key of type {type(key).__name__.strip('_')}")
        target[key] = value


def _storage(description: Any) -> _Storage:
    match description:
        case ("storage", _Global(name=kind), str(key), str(), count, *rest) if (
            kind in _DTYPES and _is_count(count) and rest in ([], [None])
        ):
            return _Storage(kind, key, count)
    _refuse("it declares something other than a plain storage")


def _call(function: Any, arguments: Any) -> Any:
    match function, arguments:
        case _Global(name="collections OrderedDict"), ():
            return {}
        case (
            _Global(name="torch._utils _rebuild_tensor_v2"),
            (_Storage() as storage, offset, tuple(size), tuple(stride), bool(), dict(), *_),
        ):
            return _tensor(storage, offset, size, stride)
        case _Global(name=name), _:
            _refuse(f"it calls {name} with unusual arguments")
    _refuse("it calls something that is not a function")


def _tensor(storage: _Storage, offset: Any, size: tuple[Any, ...], stride: tuple[Any, ...]) -> _Tensor:
    if not all(map(_is_count, (offset, *size, *stride))) or not len(size) == len(stride) <= MAX_DIMENSIONS:
        _refuse("a tensor's offset, size or stride is not a short list of counts")
    count = 1
    for n in size:
        count *= n
    if count == 0 and len(size) > 1:
        _refuse("a tensor has a side of length 0")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride)) if count else 0
    if count > storage.count or (count and last >= storage.count):
        _refuse("a tensor reaches beyond its storage")
    return _Tensor(storage, offset, size, stride)


def _find_tensors(content: Any) -> dict[str, _Tensor]:
    """The dictionary of tensors itself, or the one dictionary inside that has the most of them."""
    if not isinstance(content, dict):
        _refuse("it does not hold a dictionary")
    found = [
        {name: value for name, value in each.items() if isinstance(name, str) and isinstance(value, _Tensor)}
        for each in (content, *(value for value in content.values() if isinstance(value, dict)))
    ]
    best = max(found, key=len)
    if not best:
        _refuse("it holds no tensors")
    return best


def _array(tensor: _Tensor, storages: Mapping[str, np.ndarray]) -> np.ndarray:
    numbers = storages.get(tensor.storage.key)
    if numbers is None:
        _refuse("a tensor's storage is not in the file")
    if tensor.size == (0,):
        return numbers[:0]
    steps = tuple(step * numbers.itemsize for step in tensor.stride)
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.size, steps, writeable=False)


# --- from a file to a model -------------------------------------------------------------------------------


def packaged(weights: Pretrained) -> Path:
    """The path of a weight file inside an installed package, its hash verified; no code of the package runs.

    Raises:
        InputError: The package is not installed, lacks the file, or the file is another one.
    """
    try:
        distribution = importlib.metadata.distribution(weights.source)
    except importlib.metadata.PackageNotFoundError:
        raise InputError(
            f"The {weights.data} weights come with the Python package {weights.source}, which is not "
            "installed. Install it, give a weight file, or use weights='none'."
        ) from None
    listed = next((f for f in distribution.files or [] if f.name == weights.file), None)
    path = None if listed is None else Path(str(distribution.locate_file(listed)))
    if path is None or not path.is_file():
        raise InputError(
            f"The package {weights.source} is installed without its file {weights.file}: reinstall it."
        )
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != weights.sha256:
        raise InputError(
            f"{path} is not the file that visus knows: its SHA-256 is {digest.hexdigest()}, expected "
            f"{weights.sha256}. Reinstall {weights.source}."
        )
    return path


def from_torch(
    layers: Mapping[str, keras.layers.Layer], tensors: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Torch tensors under the names and in the layouts of Keras layers.

    Args:
        layers: Prefix in the torch file (such as `_blocks.0._bn1`) -> the Keras layer that it belongs to.
        tensors: What `read_checkpoint` gave.

    Returns:
        `layer/variable` -> array, for `surgery.restore`. Kernels go from `(out, in, h, w)` to `(h, w, in,
        out)`, depthwise ones from `(channels, 1, h, w)` to `(h, w, channels, 1)`, matrices from `(out, in)`
        to `(in, out)`. A tensor that belongs to no layer keeps its torch name, so that the report shows it as
        unused.
    """
    values, taken = {}, set()
    for prefix, layer in layers.items():
        for variable, suffix, axes in _torch_layout(layer):
            name = f"{prefix}.{suffix}"
            if name in tensors:
                taken.add(name)
                array = tensors[name]
                fits = axes is not None and array.ndim == len(axes)
                values[f"{layer.name}/{variable}"] = array.transpose(axes) if fits else array
    counters = ("num_batches_tracked",)  # torch counts batches, nobody uses it
    return values | {n: a for n, a in tensors.items() if n not in taken and not n.endswith(counters)}


def _torch_layout(layer: keras.layers.Layer) -> list[tuple[str, str, tuple[int, ...] | None]]:
    """(Keras variable, torch suffix, axes to transpose) of one layer."""
    import keras

    match layer:
        case keras.layers.BatchNormalization():
            pairs = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
            return [(k, t, None) for k, t in (pairs | {"moving_variance": "running_var"}).items()]
        case keras.layers.DepthwiseConv2D():
            return [("kernel", "weight", (2, 3, 0, 1)), ("bias", "bias", None)]
        case keras.layers.Conv2D():
            return [("kernel", "weight", (2, 3, 1, 0)), ("bias", "bias", None)]
        case keras.layers.Dense():
            return [("kernel", "weight", (1, 0)), ("bias", "bias", None)]
    return []
