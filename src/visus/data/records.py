"""The record framing of TFRecord and TensorBoard files, with its CRC32C, without TensorFlow.

A record is a little-endian uint64 length, the masked CRC32C of those eight bytes, the data, and the masked
CRC32C of the data (https://www.tensorflow.org/tutorials/load_data/tfrecord). CRC32C is the Castagnoli
polynomial of RFC 3720, appendix B.4.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from visus.structures import InputError

Compression = Literal["none", "gzip", "zlib"]
Words = NDArray[Any]  # uint32

MAX_RECORD_BYTES = 1 << 30
_CHUNK = 1 << 20  # bytes; keeps the working set of crc32c within the processor's cache


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """The CRC32C of some bytes.

    A CRC is linear: the register after `A + B` is the register after `A`, shifted by `len(B)` zero bytes,
    XOR the register after `B`. So neighbouring words are joined pairwise, a whole level of the tree in one
    NumPy expression, which is some 30 times faster than a loop over bytes (100 MB/s and more).

    Args:
        data: Any number of bytes.

    Returns:
        The checksum, 0..2**32-1.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    view = memoryview(data).cast("B")
    register = 0xFFFFFFFF
    for start in range(0, len(view), _CHUNK):
        chunk = view[start : start + _CHUNK]
        register = _tree(chunk, register) if len(chunk) >= 512 else _loop(chunk, register)
    return register ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | bytearray | memoryview) -> int:
    """The CRC32C, rotated and shifted by a constant, so that a checksum of data with checksums stays useful.

    Example:
        >>> hex(masked_crc32c(b"123456789"))
        '0xc78ab0e5'
    """
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame(data: bytes) -> bytes:
    """One record: the data between its length and its checksums.

    Example:
        >>> frame(b"hello").hex()
        '0500000000000000eab2043e68656c6c6fbb1f1c19'
    """
    length = struct.pack("<Q", len(data))
    return b"".join(
        (length, struct.pack("<I", masked_crc32c(length)), data, struct.pack("<I", masked_crc32c(data)))
    )


def write_records(path: str | Path, records: Iterable[bytes], *, compression: Compression = "none") -> int:
    """Writes a record file, under a temporary name until it is complete.

    Args:
        path: The file; its folder is created.
        records: The data of each record. Should producing them fail, nothing is left behind.
        compression: Of the whole file.

    Returns:
        How many records were written.

    Example:
        >>> write_records("three.tfrecord", [b"a", b"b", b"c"])  # doctest: +SKIP
        3
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    deflate = None if compression == "none" else zlib.compressobj(wbits=31 if compression == "gzip" else 15)
    count = 0
    try:
        with temporary.open("wb") as file:
            for data in records:
                framed = frame(data)
                file.write(deflate.compress(framed) if deflate else framed)
                count += 1
            if deflate:
                file.write(deflate.flush())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def read_records(
    path: str | Path, *, damaged: Literal["raise", "stop"] = "raise", max_bytes: int = MAX_RECORD_BYTES
) -> Iterator[bytes]:
    """Reads a record file, one record at a time.

    GZIP and ZLIB compression are recognised by the content. Offsets in messages count decompressed bytes.

    Args:
        path: The file.
        damaged: What to do at a wrong checksum or a cut end: `raise`, or `stop` after the last good record (a
            file that is still being written has such an end).
        max_bytes: The largest record that is believed.

    Yields:
        The data of each record.

    Raises:
        InputError: The file cannot be read, or is damaged; with the file's name and the byte offset.

    Example:
        >>> list(read_records("three.tfrecord"))  # doctest: +SKIP
        [b'a', b'b', b'c']
    """
    try:
        with Path(path).open("rb") as file:
            yield from _records(_decompressed(file), str(path), max_bytes)
    except _DamagedRecord:
        if damaged == "raise":
            raise
    except OSError as error:
        raise InputError(f"Cannot read the record file {path}: {error.strerror or error}.") from error


class _DamagedRecord(InputError):
    pass


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _records(source: _Source, name: str, max_bytes: int) -> Iterator[bytes]:
    offset = 0
    while header := _exactly(source, 12, name, offset, may_end=True):
        length, length_crc = struct.unpack("<QI", header)
        if masked_crc32c(header[:8]) != length_crc:
            raise _DamagedRecord(
                f"{name}: the length of the record at byte {offset} does not match its checksum. The file is "
                "damaged there, or it is not a record file."
            )
        if length > max_bytes:
            raise _DamagedRecord(
                f"{name}: the record at byte {offset} claims {length} bytes; at most {max_bytes} are read. "
                "Raise max_bytes if that is right."
            )
        data = _exactly(source, length, name, offset)
        (data_crc,) = struct.unpack("<I", _exactly(source, 4, name, offset))
        if masked_crc32c(data) != data_crc:
            raise _DamagedRecord(
                f"{name}: the data of the record at byte {offset} do not match their checksum."
            )
        yield data
        offset += 16 + length


def _exactly(source: _Source, size: int, name: str, offset: int, may_end: bool = False) -> bytes:
    """`size` bytes, read in pieces so that a false length costs no memory."""
    pieces: list[bytes] = []
    missing = size
    while missing and (piece := source.read(min(missing, _CHUNK))):
        pieces.append(piece)
        missing -= len(piece)
    if missing and not (may_end and missing == size):
        raise _DamagedRecord(
            f"{name}: the record at byte {offset} is cut off: {missing} of {size} bytes are missing."
        )
    return b"".join(pieces)


def _decompressed(file: BinaryIO) -> _Source:
    start = file.read(12)
    file.seek(0)
    plain = len(start) == 12 and struct.pack("<I", masked_crc32c(start[:8])) == start[8:]
    gzip = start[:2] == b"\x1f\x8b"
    deflated = len(start) > 1 and start[0] == 0x78 and int.from_bytes(start[:2], "big") % 31 == 0
    return _Inflated(file) if not plain and (gzip or deflated) else file


class _Inflated:
    """Decompresses only as much as is asked for, so that a small file cannot fill the memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(wbits=47)  # 47: zlib or gzip, told by the header

    def read(self, size: int, /) -> bytes:
        while True:
            left = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            packed = left or self._file.read(1 << 16)
            if not packed:
                if not self._inflate.eof:
                    raise _DamagedRecord(f"{self._file.name}: the compressed data are cut off.")
                return b""
            if self._inflate.eof:  # gzip files may be joined end to end
                self._inflate = zlib.decompressobj(wbits=47)
            try:
                plain = self._inflate.decompress(packed, size)
            except zlib.error as error:
                raise _DamagedRecord(
                    f"{self._file.name}: the compressed data are damaged ({error})."
                ) from error
            if plain:
                return plain


def _loop(data: memoryview, register: int) -> int:
    table = _byte_table()
    for byte in data:
        register = table[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register


def _tree(data: memoryview, register: int) -> int:
    padding = -len(data) % 4  # leading zeros leave an empty register empty
    words = np.zeros((padding + len(data)) // 4, "<u4")
    raw = words.view(np.uint8)
    raw[padding:] = np.frombuffer(data, np.uint8)
    raw[padding : padding + 4] ^= np.frombuffer(register.to_bytes(4, "little"), np.uint8)
    level = 0
    while len(words) > 1:
        if len(words) % 2:
            words = np.concatenate([np.zeros(1, np.uint32), words])
        words = _shifted(words[0::2], _shift_tables(level)) ^ words[1::2]
        level += 1
    return int(_shifted(words, _shift_tables(0))[0])


def _shifted(registers: Words, tables: Words) -> Words:
    shifted: Words = (
        tables[0][registers & 0xFF]
        ^ tables[1][(registers >> 8) & 0xFF]
        ^ tables[2][(registers >> 16) & 0xFF]
        ^ tables[3][registers >> 24]
    )
    return shifted


@cache
def _byte_table() -> list[int]:
    table: Words = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ (table & 1) * np.uint32(0x82F63B78)
    return [int(value) for value in table]


@cache
def _shift_tables(level: int) -> Words:
    """`(4, 256)`: what each byte of a register becomes when `4 * 2**level` zero bytes follow."""
    if level:
        half = _shift_tables(level - 1)
        return np.stack([_shifted(table, half) for table in half])
    one_byte = np.array(_byte_table(), np.uint32)
    tables: Words = np.arange(256, dtype=np.uint32) << np.array([[0], [8], [16], [24]], np.uint32)
    for _ in range(4):
        tables = one_byte[tables & 0xFF] ^ (tables >> 8)
    return tables
