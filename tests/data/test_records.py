"""CRC32C and record framing, against RFC 3720, a bitwise loop, and TensorFlow's reader and writer."""

import gzip
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visus.data.records import crc32c, frame, masked_crc32c, read_records, write_records
from visus.structures import InputError


def bitwise(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    "data, value",
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_crc32c_gives_the_values_of_rfc_3720(data, value):
    assert crc32c(data) == value


@settings(max_examples=30, deadline=None)
@given(st.integers(500, 3000), st.integers(0, 2**32 - 1))
def test_the_tree_equals_a_loop_over_bits(size, seed):
    data = np.random.default_rng(seed).bytes(size)
    assert crc32c(data) == bitwise(data)


def test_chunks_of_a_large_input_are_joined(monkeypatch):
    data = np.random.default_rng(0).bytes(10_001)
    monkeypatch.setattr("visus.data.records._CHUNK", 700)
    assert crc32c(data) == bitwise(data)


def test_the_record_of_hello():
    assert masked_crc32c(b"123456789") == 0xC78AB0E5
    assert frame(b"hello").hex() == "0500000000000000eab2043e68656c6c6fbb1f1c19"


RECORDS = [b"", b"a", bytes(700), b"last" * 5000]


@pytest.mark.parametrize("compression", ["none", "gzip", "zlib"])
def test_records_come_back(tmp_path, compression):
    path = tmp_path / "new folder" / "r.tfrecord"
    assert write_records(path, RECORDS, compression=compression) == 4
    assert list(read_records(path)) == RECORDS
    assert [p.name for p in path.parent.iterdir()] == ["r.tfrecord"]


@pytest.mark.parametrize("compression, tf_name", [("none", ""), ("gzip", "GZIP"), ("zlib", "ZLIB")])
def test_tensorflow_reads_what_we_write_and_we_read_what_it_writes(tmp_path, compression, tf_name):
    tf = pytest.importorskip("tensorflow")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    write_records(ours, RECORDS, compression=compression)
    assert list(tf.data.TFRecordDataset(str(ours), tf_name).as_numpy_iterator()) == RECORDS
    with tf.io.TFRecordWriter(str(theirs), tf_name) as writer:
        for record in RECORDS:
            writer.write(record)
    assert list(read_records(theirs)) == RECORDS


def test_joined_gzip_files_are_one_file(tmp_path):
    path = tmp_path / "joined"
    path.write_bytes(gzip.compress(frame(b"one")) + gzip.compress(frame(b"two")))
    assert list(read_records(path)) == [b"one", b"two"]


def test_a_plain_record_whose_length_looks_like_gzip(tmp_path):
    record = bytes(0x8B1F)  # the length field begins with 1f 8b
    write_records(tmp_path / "r", [record])
    assert list(read_records(tmp_path / "r")) == [record]


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda raw: raw[:-1], "byte 17 is cut off: 1 of 4 bytes"),
        (lambda raw: raw[:20], "byte 17 is cut off: 9 of 12 bytes"),
        (lambda raw: raw[:30] + b"X" + raw[31:], "data of the record at byte 17 do not match"),
        (lambda raw: raw[:17] + b"X" + raw[18:], "length of the record at byte 17 does not match"),
    ],
)
def test_damage_is_an_error_with_file_and_offset(tmp_path, damage, message):
    path = tmp_path / "broken.tfrecord"
    path.write_bytes(damage(frame(b"1") + frame(b"second")))
    with pytest.raises(InputError, match=rf"broken\.tfrecord.*{message}"):
        list(read_records(path))
    assert list(read_records(path, damaged="stop")) == [b"1"]


def test_a_huge_length_is_refused_before_memory_is_asked_for(tmp_path):
    path = tmp_path / "huge"
    length = (1 << 60).to_bytes(8, "little")
    path.write_bytes(length + masked_crc32c(length).to_bytes(4, "little") + b"x")
    with pytest.raises(InputError, match="claims 1152921504606846976 bytes"):
        list(read_records(path))
    with pytest.raises(InputError, match="cut off"):
        list(read_records(path, max_bytes=1 << 61))


def test_damaged_compression_and_missing_files_are_input_errors(tmp_path):
    path = tmp_path / "z"
    packed = zlib.compress(frame(b"x" * 1000))
    path.write_bytes(packed[:10] + b"\xff\xff" + packed[12:])
    with pytest.raises(InputError):
        list(read_records(path))
    path.write_bytes(gzip.compress(frame(b"x") + frame(b"y"))[:-9])
    with pytest.raises(InputError, match="cut off"):
        list(read_records(path))
    with pytest.raises(InputError, match="Cannot read"):
        list(read_records(tmp_path / "none"))


def test_a_failing_producer_leaves_nothing(tmp_path):
    def records():
        yield b"1"
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        write_records(tmp_path / "r", records())
    assert list(tmp_path.iterdir()) == []
