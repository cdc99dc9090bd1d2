"""Reading and writing: against pixels made by hand, and against Pillow."""

import io
import itertools
import os
import pickle
import resource
import struct
import subprocess
import sys
import textwrap
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageSequence, features

import visus.image
from visus.image import ImageError, frames, probe, read, write
from visus.structures import InputError

RNG = np.random.default_rng(0)


def photo(height=60, width=90):
    """A smooth RGB picture with noise, none of its turns alike."""
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([255 * y / height, 255 * x / width, 127 + 100 * np.sin(x / 9) * np.cos(y / 5)], axis=-1)
    return np.clip(smooth + np.random.default_rng(1).normal(0, 5, smooth.shape), 0, 255).astype(np.uint8)


def encoded(image, format, **options):
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, format, **options)
    return out.getvalue()


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


# PNG, written by hand


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(rows, width, bits, colour, extra=b""):
    """A PNG file of the given packed rows of samples."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0))
    packed = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("bits", "row", "gray"),
    [
        (1, [0b10100000], [255, 0, 255]),
        (2, [0b00011000], [0, 85, 170]),
        (4, [0x0F, 0x80], [0, 255, 136]),
        (8, [0, 7, 255], [0, 7, 255]),
        (16, [0, 255, 7, 128, 255, 255], [0, 7, 255]),
    ],
)
def test_gray_png_of_every_depth_becomes_8_bits(bits, row, gray):
    data = png([row, row], 3, bits, 0)
    assert read(data, channels=1).tolist() == [gray, gray]
    assert read(data).tolist() == [[[g] * 3 for g in gray]] * 2
    info = probe(data)
    assert (info.height, info.width, info.channels, info.bits) == (2, 3, 1, bits)


def test_16_bit_png_as_stored():
    samples = np.array([[[0, 255, 65535], [1, 256, 40000]]], np.uint16)
    data = png([samples.astype(">u2").tobytes()], 2, 16, 2)
    stored = read(data, channels=0)
    assert stored.dtype == np.uint16
    assert stored.tolist() == samples.tolist()
    assert read(data).tolist() == (samples >> 8).tolist()

    gray = png([samples[..., 0].astype(">u2").tobytes()], 2, 16, 0)
    assert read(gray, channels=0).tolist() == [[0, 1]]
    assert read(gray, channels=0).dtype == np.uint16

    with_alpha = np.dstack([samples, np.array([[7, 65535]], np.uint16)])
    data = png([with_alpha.astype(">u2").tobytes()], 2, 16, 6)
    assert read(data, channels=0).tolist() == with_alpha.tolist()
    assert read(data, channels=4).tolist() == (with_alpha >> 8).tolist()

    data = png([with_alpha[..., 2:].astype(">u2").tobytes()], 2, 16, 4)
    assert read(data, channels=0).tolist() == with_alpha[..., 2:].tolist()
    assert read(data, channels=2).tolist() == (with_alpha[..., 2:] >> 8).tolist()
    assert read(data, channels=1).tolist() == (with_alpha[..., 2] >> 8).tolist()


def test_palette_png():
    palette = chunk(b"PLTE", bytes([255, 0, 0, 0, 200, 0, 10, 20, 30]))
    data = png([[0b00011000]], 3, 2, 3, palette)
    assert read(data).tolist() == [[[255, 0, 0], [0, 200, 0], [10, 20, 30]]]
    assert read(data, channels=0).tolist() == [[0, 1, 2]]
    assert probe(data).channels == 3
    transparent = png([[0b00011000]], 3, 2, 3, palette + chunk(b"tRNS", bytes([0, 51])))
    assert probe(transparent).channels == 4
    assert read(transparent).tolist() == [[[255, 0, 0], [0, 200, 0], [10, 20, 30]]]
    assert read(transparent, channels=4)[0, :, 3].tolist() == [0, 51, 255]
    # 0.2 * 200 + 0.8 * 255 = 244; 0.8 * 255 = 204
    assert read(transparent, background=(255, 255, 255)).tolist() == [
        [[255] * 3, [204, 244, 204], [10, 20, 30]]
    ]


def test_alpha_is_dropped_or_laid_over_a_background():
    rgba = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 102]]], np.uint8)
    data = png([rgba.tobytes()], 3, 8, 6)
    assert read(data).tolist() == rgba[..., :3].tolist()
    assert read(data, channels=0).tolist() == read(data, channels=4).tolist() == rgba.tolist()
    # 0.4 * 200 + 0.6 * 10 = 86, 0.4 * 100 + 0.6 * 20 = 52, 0.6 * 30 = 18
    assert read(data, background=(10, 20, 30)).tolist() == [[[200, 100, 0], [10, 20, 30], [86, 52, 18]]]
    gray = png([[200, 255, 200, 0, 200, 102]], 3, 8, 4)
    assert read(gray, channels=1).tolist() == [[200, 200, 200]]
    assert read(gray, background=(0, 0, 100)).tolist() == [[[200] * 3, [0, 0, 100], [80, 80, 140]]]
    keyed = png([[1, 2, 3]], 3, 8, 0, chunk(b"tRNS", b"\0\2"))
    assert read(keyed, channels=4)[0, :, 3].tolist() == [255, 0, 255]
    assert read(keyed, background=(9, 9, 9))[0, :, 0].tolist() == [1, 9, 3]


# JPEG


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"keep_rgb": True, "quality": 90}]
)
def test_jpeg_equals_pillow(options):
    data = encoded(photo(), "JPEG", **options)
    assert np.abs(read(data).astype(int) - pillow(data)).max() <= 1
    assert np.abs(read(data).astype(int) - photo()).mean() < 8
    assert read(data, channels=0).tolist() == read(data).tolist()
    gray = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert np.abs(read(data, channels=1).astype(int) - gray).max() <= 1


def test_gray_jpeg():
    data = encoded(photo()[..., 0], "JPEG")
    assert read(data).shape == (60, 90, 3)
    assert read(data, channels=1).shape == read(data, channels=0).shape == (60, 90)
    assert np.abs(read(data, channels=1).astype(int) - photo()[..., 0]).mean() < 5


def test_cmyk_jpeg_is_not_inverted():
    # Cyan 255 takes all red, key 51 takes a fifth of the rest.
    plain = np.empty((20, 30, 4), np.uint8)
    plain[:] = (255, 0, 0, 51)
    data = encoded(Image.fromarray(plain, "CMYK"), "JPEG", quality=100)
    assert b"Adobe" in data  # Adobe's files hold inverted values, and say so
    assert np.abs(read(data).astype(int) - (0, 204, 204)).max() <= 2
    assert np.abs(read(data, channels=0).astype(int) - (255, 0, 0, 51)).max() <= 2
    assert (probe(data).channels, probe(data).mode) == (4, "CMYK")


@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(1, 220),
    st.integers(1, 220),
    st.integers(1, 8),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_reduced_jpeg_is_large_enough_and_no_larger_than_needed(
    height, width, least_h, least_w, orientation, gray
):
    image = photo(height, width)
    data = encoded(image[..., 0] if gray else image, "JPEG", exif=exif(orientation))
    upright = (width, height) if orientation >= 5 else (height, width)
    out = read(data, at_least=(least_h, least_w))
    halved = [(-(-upright[0] // s), -(-upright[1] // s)) for s in (8, 4, 2)]
    expected = next((s for s in halved if s[0] >= least_h and s[1] >= least_w), upright)
    assert out.shape == (*expected, 3)


def test_a_reduced_jpeg_shows_the_same_picture():
    data = encoded(photo(240, 360), "JPEG", quality=95, exif=exif(6))
    full, half = read(data), read(data, at_least=(150, 100))
    assert half.shape == (180, 120, 3)
    means = full.reshape(180, 2, 120, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - means).mean() < 1.5


# Orientation (EXIF 2.32): the stored picture, made from the upright one

STORED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),  # stored counter-clockwise, so that viewers turn it clockwise
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_orientation_is_applied(format, orientation):
    upright = photo()
    stored = np.ascontiguousarray(STORED[orientation](upright))
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    data = encoded(stored, format, exif=exif(orientation), **options.get(format, {}))
    near = 4 if format == "JPEG" else 0
    assert np.abs(read(data).astype(int) - upright).max() <= near
    assert np.abs(read(data, orient=False).astype(int) - stored).max() <= near
    assert np.abs(next(frames(data)).astype(int) - upright).max() <= near
    info = probe(data)
    assert (info.format, info.orientation, info.height, info.width) == (format, orientation, 60, 90)


def test_orientation_agrees_with_the_definition():
    # 6: the first stored row is the right side, the first stored column the top.
    stored = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    assert read(encoded(stored, "PNG", exif=exif(6)), channels=1).tolist() == [[4, 1], [5, 2], [6, 3]]


# Other formats


@pytest.mark.parametrize(
    "format", ["BMP", "PPM", "TIFF", "WEBP", "JPEG2000", "TGA", "QOI", "AVIF", "GIF", "ICO"]
)
def test_other_formats_equal_pillow(format):
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    image = photo(48, 48) if format == "ICO" else photo()
    data = encoded(image, format)
    assert read(data).tolist() == pillow(data).tolist()
    assert read(data).flags["C_CONTIGUOUS"]
    assert read(data).flags["WRITEABLE"]
    assert probe(data).format == format


@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        *itertools.product(
            ["1", "L", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16"],
            [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"],
        ),
        ("L", "jpeg"),
        ("RGB", "jpeg"),
    ],
)
def test_tiff_equals_pillow(mode, compression):
    if mode == "I;16":
        image = Image.fromarray(np.arange(60 * 90, dtype=np.uint16).reshape(60, 90) * 12)
        expected = np.repeat((np.asarray(image) >> 8)[..., np.newaxis], 3, axis=2)
    else:
        image = Image.fromarray(photo())
        image = Image.merge("LAB", image.split()) if mode == "LAB" else image.convert(mode)
        expected = None
    data = encoded(image, "TIFF", compression=compression)
    assert read(data).tolist() == (pillow(data) if expected is None else expected).tolist()


@pytest.mark.parametrize(
    "samples",
    [
        RNG.normal(size=(20, 30)).astype(np.float32),
        RNG.normal(size=(20, 30, 3)),
        RNG.integers(-128, 128, (20, 30), dtype=np.int8),
        RNG.integers(-9999, 9999, (20, 30), dtype=np.int16),
        RNG.integers(0, 2**32, (20, 30), dtype=np.uint32),
        RNG.integers(0, 2**16, (20, 30), dtype=np.uint16),
        RNG.integers(0, 2**16, (20, 30, 3), dtype=np.uint16),
        RNG.integers(0, 256, (20, 30, 5), dtype=np.uint8),
        RNG.integers(0, 2**16, (20, 30, 7), dtype=np.uint16),
    ],
    ids=lambda a: f"{a.dtype}-{a.shape[2:]}",
)
@pytest.mark.parametrize(
    "layout", [{}, {"byteorder": ">"}, {"compression": "zlib"}, {"planarconfig": "separate"}]
)
def test_tiff_samples_as_stored(samples, layout):
    out = io.BytesIO()
    if samples.ndim == 3:
        layout = {"planarconfig": "contig"} | layout
    planes = (
        np.moveaxis(samples, 2, 0)
        if layout.get("planarconfig") == "separate" and samples.ndim == 3
        else samples
    )
    colour = "rgb" if samples.shape[2:] == (3,) else "minisblack"
    tifffile.imwrite(out, planes, photometric=colour, **layout)
    stored = read(out.getvalue(), channels=0)
    assert stored.dtype == samples.dtype
    assert np.array_equal(stored, samples)
    if samples.shape[2:] == (7,):
        assert np.array_equal(read(out.getvalue(), channels=7), samples >> 8)
    if samples.dtype not in (np.uint8, np.uint16):
        with pytest.raises(ImageError, match="channels=0") as caught:
            read(out.getvalue())
        assert caught.value.problem == "unsupported"


def test_lzw_compressed_16_bit_colour_tiff_as_stored(tmp_path):
    samples = RNG.integers(0, 2**16, (20, 30, 3), dtype=np.uint16)
    write(tmp_path / "a.tif", samples)
    assert np.array_equal(read(tmp_path / "a.tif", channels=0), samples)
    assert np.array_equal(read(tmp_path / "a.tif"), samples >> 8)


@pytest.mark.parametrize("mode", ["RGB", "P", "I;16"])
def test_a_large_tiff_asks_our_limit_and_not_pillows(mode, monkeypatch):
    image = Image.fromarray(photo()).convert("L" if mode == "I;16" else mode).convert(mode)
    data = encoded(image, "TIFF", compression="tiff_lzw", exif=exif(6))
    expected = read(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # it warns above that and raises above twice that
    assert np.array_equal(read(data), expected)


# Frames


def moving(count=4):
    out = [Image.fromarray(photo()) for _ in range(count)]
    for i, image in enumerate(out):
        image.paste((255, 255 - 50 * i, 0), (10 * i, 5, 10 * i + 20, 30))
    return out


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_frame_equals_pillow(format):
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    first, *rest = moving()
    data = encoded(first, format, save_all=True, append_images=rest)
    expected = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]
    found = list(frames(data))
    assert probe(data).frames == len(found) == len(expected) == 4
    assert all(np.array_equal(a, b) for a, b in zip(found, expected))
    assert np.array_equal(read(data, frame=2), expected[2])
    assert np.array_equal(read(data), expected[0])
    with pytest.raises(ImageError, match="no frame 4"):
        read(data, frame=4)


def test_pages_of_a_tiff_may_differ_in_size():
    pages = [Image.new("RGB", (30 + i, 20), (i, 0, 0)) for i in range(3)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert [f.shape for f in frames(data)] == [(20, 30, 3), (20, 31, 3), (20, 32, 3)]


def test_a_still_picture_has_one_frame():
    data = encoded(photo(), "JPEG")
    assert len(list(frames(data))) == 1
    with pytest.raises(ImageError, match="no frame 1"):
        read(data, frame=1)


# Trouble


def test_what_is_no_picture_says_what_it_is(tmp_path):
    def trouble(name, content=None):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ImageError) as caught:
            read(path)
        assert str(path) in str(caught.value)
        with pytest.raises(ImageError):
            probe(path)
        return caught.value.problem, caught.value.reason

    assert trouble("nowhere.jpg") == ("missing", "there is no such file.")
    assert trouble("empty.jpg", b"") == ("empty", "it is empty (0 bytes).")
    assert trouble("page.jpg", b"<html><body>404</body></html>")[0] == "not a picture"
    assert "an HTML page" in trouble("page.jpg")[1]
    assert "zero bytes" in trouble("zeros.png", bytes(4096))[1]
    assert "HEIC" in trouble("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")[1]
    assert trouble("one.jpg", b"\xff")[0] == "not a picture"
    (tmp_path / "folder.jpg").mkdir()
    assert "folder" in trouble("folder.jpg")[1]
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "pipe" in trouble("pipe.jpg")[1]


def test_a_file_name_cannot_write_to_the_terminal(tmp_path):
    (tmp_path / "\x1b[31mred.jpg").write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        read(tmp_path / "\x1b[31mred.jpg")
    assert str(caught.value).isprintable()


def test_the_error_is_an_input_error_that_survives_pickling():
    with pytest.raises(InputError) as caught:
        read(b"")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problem) == (str(caught.value), "empty")
    assert str(again) == "The picture in memory cannot be read: it is empty (0 bytes)."


@pytest.mark.parametrize(
    "arguments", [{"channels": -1}, {"frame": -1}, {"truncated": "yes"}, {"max_pixels": 0}]
)
def test_wrong_arguments(arguments):
    with pytest.raises(InputError, match="Received"):
        read(encoded(photo(), "PNG"), **arguments)


def test_wrong_number_of_channels_is_refused():
    with pytest.raises(ImageError, match="5 were asked for"):
        read(encoded(photo(), "PNG"), channels=5)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_every_cut_is_an_error_or_the_whole_picture(format):
    data = encoded(photo(), format)
    whole = read(data)
    for end in range(0, len(data), max(1, len(data) // 60)):
        try:
            assert np.array_equal(read(data[:end]), whole)
        except ImageError as error:
            assert error.problem in ("empty", "truncated", "damaged", "not a picture")


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_cut_jpeg_is_said_to_be_truncated(options):
    data = encoded(photo(200, 300), "JPEG", quality=95, **options)
    for share in (0.3, 0.6, 0.9, 0.9999):
        with pytest.raises(ImageError, match="cut off") as caught:
            read(data[: int(share * len(data))])
        assert caught.value.problem == "truncated"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize(
    ("format", "options"),
    [("JPEG", {"quality": 95}), ("JPEG", {"progressive": True}), ("PNG", {}), ("BMP", {}), ("GIF", {})],
)
def test_fill_gives_what_pillow_gives_when_told_to_load_truncated_files(format, options, share, monkeypatch):
    data = encoded(photo(200, 300), format, **options)
    data = data[: int(share * len(data))]
    ours = read(data, truncated="fill")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    theirs = pillow(data)
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert ours.std() > 10


def test_fill_changes_nothing_for_others(monkeypatch):
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    data = encoded(photo(), "JPEG")
    assert np.array_equal(read(data, truncated="fill"), read(data))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"PLTE", b"\1\2\3") * 2,
        chunk(b"PLTE", b"\1" * 3 * 257),
        chunk(b"tRNS", b"\1\0"),
    ],
)
def test_no_decoder_grumbles_about_odd_chunks(extra, capfd):
    # OpenCV's libpng would print about each of them, and nothing but closing stderr stops it.
    colour = extra[4:8] == b"PLTE"
    image = read(png([range(9 if colour else 3)], 3, 8, 2 if colour else 0, extra))
    if colour:
        np.testing.assert_array_equal(image, np.arange(9).reshape(1, 3, 3))
    else:
        np.testing.assert_array_equal(image, np.repeat([[[0], [1], [2]]], 3, axis=2))
    assert capfd.readouterr() == ("", "")


def test_odd_metadata_costs_no_pixels():
    """Text and profile chunks that Pillow refuses the picture for."""
    bomb = zlib.compress(bytes(200_000_000))
    extra = chunk(b"zTXt", b"key\0\0" + bomb) + chunk(b"iCCP", b"name\0\0" + bomb) + chunk(b"pHYs", b"\0")
    data = png([[1, 2, 3]], 3, 8, 0, extra)
    with pytest.raises(ValueError, match=r"too large|Truncated"):
        Image.open(io.BytesIO(data)).load()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read(data, channels=1).tolist() == [[1, 2, 3]]
    assert probe(data).width == 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes


# Bombs


def test_the_limit_counts_pixels_and_can_be_set(monkeypatch):
    data = encoded(photo(), "PNG")
    assert read(data, max_pixels=5400).shape == (60, 90, 3)
    with pytest.raises(ImageError, match="60 x 90") as caught:
        read(data, max_pixels=5399)
    assert caught.value.problem == "too large"
    monkeypatch.setenv("VISUS_MAX_PIXELS", "5399")
    with pytest.raises(ImageError, match="above the limit"):
        read(data)
    assert read(data, max_pixels=5400).shape == (60, 90, 3)
    monkeypatch.setenv("VISUS_MAX_PIXELS", "many")
    with pytest.raises(InputError, match="VISUS_MAX_PIXELS"):
        read(data)


def bombs():
    squeeze = zlib.compressobj(1)
    zeros = b"".join([squeeze.compress(bytes(5001 * 100)) for _ in range(400)]) + squeeze.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 40000, 40000, 1, 0, 0, 0, 0))
    yield "one_bit.png", b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zeros) + chunk(b"IEND", b"")
    claim = chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0))
    yield "claim.png", b"\x89PNG\r\n\x1a\n" + claim + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    jpeg = encoded(photo(), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    yield "claim.jpg", jpeg[:at] + struct.pack(">HH", 65500, 65500) + jpeg[at + 4 :]
    progressive = encoded(photo(), "JPEG", progressive=True)
    at = progressive.index(b"\xff\xc2") + 5
    large = progressive[:at] + struct.pack(">HH", 14000, 14000) + progressive[at + 4 :]
    yield "scans.jpg", large[:-2] + 3000 * large[large.rindex(b"\xff\xda") : -2] + b"\xff\xd9"
    yield (
        "claim.gif",
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
    )
    yield "frame.gif", b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0" + struct.pack("<HHB", 65535, 65535, 0) + b"\2\2D\1\0;"
    yield (
        "claim.bmp",
        b"BM" + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, 70000, 70000, 1, 24, 0, 0, 0, 0, 0, 0),
    )
    yield "claim.ppm", b"P6\n100000 100000\n255\n"
    canvas = struct.pack("<I", 16383)[:3]
    extended = b"VP8X\x0a\0\0\0\x10\0\0\0" + canvas + canvas
    yield "claim.webp", b"RIFF" + struct.pack("<I", len(extended) + 4) + b"WEBP" + extended
    inside = png([[0]], 1, 8, 0).replace(struct.pack(">II", 1, 1), struct.pack(">II", 60000, 60000))
    yield "claim.ico", b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inside), 22) + inside
    tiles = [
        (256, 3, 10),
        (257, 3, 10),
        (258, 3, 8),
        (259, 3, 8),
        (262, 3, 1),
        (322, 4, 60000),
        (323, 4, 60000),
    ]
    tiles += [(277, 3, 1), (324, 4, 200), (325, 4, 10)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted(tiles))
    tiff = b"II*\0" + struct.pack("<IH", 8, len(tiles)) + entries + bytes(4)
    yield "tiles.tif", tiff.ljust(200, b"\0") + zlib.compress(b"")
    yield "claim.qoi", b"qoif" + struct.pack(">IIBB", 60000, 60000, 4, 0) + b"\xfd" * 99


def test_bombs_are_refused_before_they_take_memory(tmp_path):
    """In a process of its own that may take 300 MB more than it has."""
    names = set()
    for name, content in bombs():
        (tmp_path / name).write_bytes(content)
        names.add(name)
    script = """
        import resource, sys, time
        from pathlib import Path
        from visus.image import ImageError, frames, probe, read
        import PIL.Image
        PIL.Image.init()
        used = 1024 * int([l for l in open("/proc/self/status") if l.startswith("VmSize")][0].split()[1])
        resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000,) * 2)
        for path in sorted(Path(sys.argv[1]).iterdir()):
            for job in (read, probe, lambda p: list(frames(p)), lambda p: read(p, channels=0)):
                start = time.perf_counter()
                try:
                    job(path)
                    print(path.name, "read")
                except ImageError as error:
                    print(path.name, error.problem)
                assert time.perf_counter() - start < 2, path
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    refused = set(done.stdout.splitlines())
    assert {line.split()[0] for line in refused} == {name for name, _ in bombs()}
    assert refused <= {f"{name} too large" for name, _ in bombs()} | {
        "scans.jpg damaged",
        "claim.webp damaged",
    }


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damage_is_an_image_error_or_pixels(data):
    format, options = data.draw(st.sampled_from(sorted(DAMAGED))), {}
    whole = bytearray(DAMAGED[format])
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    for content in (bytes(whole), bytes(whole[:cut])):
        for options in ({}, {"channels": 0}, {"truncated": "fill"}):
            try:
                out = read(content, max_pixels=1_000_000, **options)
                assert out.size > 0
            except ImageError as error:
                assert error.reason.endswith(".")


DAMAGED = {
    "JPEG": encoded(photo(24, 30), "JPEG"),
    "progressive": encoded(photo(24, 30), "JPEG", progressive=True),
    "PNG": encoded(photo(24, 30), "PNG"),
    "palette": encoded(Image.fromarray(photo(24, 30)).convert("P"), "PNG"),
    "GIF": encoded(photo(24, 30), "GIF"),
    "BMP": encoded(photo(24, 30), "BMP"),
    "TIFF": encoded(photo(24, 30), "TIFF", compression="tiff_lzw"),
    "WEBP": encoded(photo(24, 30), "WEBP"),
    "PPM": encoded(photo(24, 30), "PPM"),
    "ICO": encoded(photo(24, 24), "ICO"),
    "JPEG2000": encoded(photo(24, 30), "JPEG2000"),
}


# Threads


def test_many_threads_read_the_same_as_one(tmp_path):
    formats = ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"]
    paths = []
    for i in range(48):
        data = encoded(photo(50 + i, 70), formats[i % 6])
        path = tmp_path / f"{i}.bin"
        path.write_bytes(data[: len(data) // 2] if i % 5 == 0 else data)
        paths.append(path)

    def outcome(path):
        try:
            filled = read(path, truncated="fill").sum()
        except ImageError as error:
            filled = error.problem
        try:
            return filled, read(path).sum()
        except ImageError as error:
            return filled, str(error)

    alone = [outcome(path) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outcome, paths * 4)) == alone * 4


# Writing


@pytest.mark.parametrize(
    ("suffix", "shape", "dtype"),
    [
        (".png", (20, 30), np.uint8),
        (".png", (20, 30, 3), np.uint8),
        (".png", (20, 30, 4), np.uint8),
        (".png", (20, 30), np.uint16),
        (".png", (20, 30, 3), np.uint16),
        (".tif", (20, 30, 3), np.uint8),
        (".tiff", (20, 30, 4), np.uint8),
        (".tif", (20, 30), np.uint16),
        (".bmp", (20, 30, 3), np.uint8),
        (".ppm", (20, 30, 3), np.uint8),
        (".pgm", (20, 30), np.uint8),
        (".PNG", (20, 30, 3), np.uint8),
    ],
)
def test_what_was_written_is_read_back(tmp_path, suffix, shape, dtype, capfd):
    image = RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    write(tmp_path / f"a{suffix}", image)
    assert np.array_equal(read(tmp_path / f"a{suffix}", channels=0), image)
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_float_tiff_is_read_back(tmp_path):
    image = RNG.normal(size=(20, 30)).astype(np.float32)
    write(tmp_path / "a.tif", image)
    assert np.array_equal(read(tmp_path / "a.tif", channels=0), image)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_writing_keeps_red_red(tmp_path, suffix, capfd):
    image = np.full((20, 30, 3), (200, 30, 40), np.uint8)
    write(tmp_path / f"a{suffix}", image, quality=90)
    assert (
        np.abs(np.asarray(Image.open(tmp_path / f"a{suffix}").convert("RGB")).astype(int) - image).max() < 8
    )


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a.xyz", np.zeros((2, 3), np.uint8)),
        ("a", np.zeros((2, 3), np.uint8)),
        ("a.jpg", np.zeros((2, 3, 4), np.uint8)),
        ("a.jpg", np.zeros((2, 3), np.uint16)),
        ("a.png", np.zeros((2, 3), np.float32)),
        ("a.png", np.zeros((2, 3, 2), np.uint8)),
        ("a.png", np.zeros((0, 3), np.uint8)),
        ("a.png", np.zeros(3, np.uint8)),
        ("a.jpg", np.zeros((1, 70_000), np.uint8)),
        ("a.webp", np.zeros((1, 17_000, 3), np.uint8)),
        ("nowhere/a.png", np.zeros((2, 3), np.uint8)),
    ],
)
def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, name, image):
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    write(tmp_path / "a.png", np.zeros((2, 3), np.uint8))
    old = (tmp_path / "a.png").read_bytes()

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(InputError, match="No space left"):
        write(tmp_path / "a.png", np.ones((200, 300), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == old


def test_public_names():
    assert set(visus.image.__all__) <= set(dir(visus.image))
    assert ".jpeg" in visus.image.EXTENSIONS
    assert visus.image.MAX_PIXELS == 200_000_000
    assert threading.active_count() < 50
