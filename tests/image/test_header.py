"""Headers: written by hand or by Pillow, read by the parsers."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from visus.image import header


def jpeg_bytes(size=(30, 20), mode="RGB", **options):
    rng = np.random.default_rng(0)
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = rng.integers(0, 256, (size[1], size[0], bands), dtype=np.uint8).squeeze()
    out = io.BytesIO()
    Image.fromarray(pixels, mode).save(out, "JPEG", **options)
    return out.getvalue()


def exif_block(orientation, order="<"):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "IH", 8, 1) + entry + struct.pack(order + "I", 0)


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"\xff\xd8\xff\xe0....", "JPEG"),
        (b"\x89PNG\r\n\x1a\n....", "PNG"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "WEBP"),
        (b"MM\0+....", "TIFF"),
        (b"P6\n3 2 255\n", "PPM"),
        (b"P7\n....", None),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0avifmiaf", "AVIF"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", None),
        (b"%!PS-Adobe-3.0 EPSF", None),
        (b"\xd7\xcd\xc6\x9a", None),  # WMF: Pillow would hand it to Windows
        (b"", None),
    ],
)
def test_sniff(head, format):
    assert header.sniff(head) == format


def test_sniff_finds_tga_by_its_footer():
    assert header.sniff(b"\0\0\2\0", b"TRUEVISION-XFILE.\0") == "TGA"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\n<!DOCTYPE html><html>", "an HTML page"),
        (b'<?xml version="1.0"?>\n<svg width="3">', "an SVG drawing"),
        (b"\0\0\0\x18ftypheic", "a HEIC picture"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"PK\3\4....", "a ZIP archive"),
        (b"\0" * 512, "nothing but zero bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a text file"),
        (b"\x93\x01\xfe", None),
    ],
)
def test_describe(head, words):
    assert header.describe(head) == words


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(order, orientation):
    assert header.exif_orientation(b"Exif\0\0" + exif_block(orientation, order)) == orientation


@pytest.mark.parametrize(
    "block",
    [b"", b"II*\0", exif_block(0), exif_block(9), exif_block(6)[:18], b"II*\0\xff\xff\xff\xff", b"??" * 20],
)
def test_exif_orientation_is_1_where_it_is_unknown(block):
    assert header.exif_orientation(block) == 1


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"optimize": True}]
)
@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1), ("CMYK", 4)])
def test_jpeg_header(options, mode, channels):
    data = jpeg_bytes(mode=mode, exif=b"Exif\0\0" + exif_block(6), **options)
    known = header.jpeg(data)
    assert (known.height, known.width, known.channels, known.bits) == (20, 30, channels, 8)
    assert known.orientation == 6
    assert (known.quick is not None) == (channels != 4)


def test_jpeg_header_in_a_part_of_the_file_is_known_but_not_quick():
    data = jpeg_bytes(size=(300, 200))
    for end in range(1000, len(data), 997):
        known = header.jpeg(data[:end])
        assert (known.height, known.width, known.quick) == (200, 300, None)
    assert header.jpeg(data[:100]) is None


def test_jpeg_that_ends_early_or_holds_stray_bytes_is_not_quick():
    data = jpeg_bytes(size=(300, 200))
    assert header.jpeg(data).quick == data
    assert header.jpeg(data[:-2]).quick is None
    assert header.jpeg(data + b"\0\0").quick is None
    assert header.jpeg(data + data).quick is not None  # a second picture behind the first
    assert header.jpeg(data[:2] + b"stray" + data[2:]) is None
    middle = len(data) // 2
    assert header.jpeg(data[:middle] + b"\xff\xd9" + data[middle:]).quick is None
    assert header.jpeg(data[:middle] + b"\xff\xc3\x00\x02" + data[middle:]).quick is None


def test_jpeg_bomb_of_many_scans_is_refused():
    data = jpeg_bytes(size=(300, 200), progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    header.jpeg(data[:-2] + 50 * scan + b"\xff\xd9")
    with pytest.raises(ValueError, match="scans"):
        header.jpeg(data[:-2] + 200 * scan + b"\xff\xd9")
    with pytest.raises(ValueError, match="segments"):
        header.jpeg(data[:2] + 20_000 * b"\xff\xfe\0\2" + data[2:])


def chunk(kind, content, crc=None):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", crc or zlib.crc32(kind + content))
    )


def png_bytes(width=3, height=2, bits=8, colour=0, extra=(), rows=b"\0abc\0def", tail=True, crc=None):
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    for kind, content in extra:
        body += chunk(kind, content)
    body += chunk(b"IDAT", zlib.compress(rows), crc)
    return b"\x89PNG\r\n\x1a\n" + body + (chunk(b"IEND", b"") if tail else b"")


def test_png_header_keeps_only_what_makes_the_pixels():
    plain = png_bytes()
    known = header.png(png_bytes(extra=[(b"tEXt", b"a\0b"), (b"iCCP", b"x"), (b"eXIf", exif_block(8))]))
    assert (known.height, known.width, known.channels, known.bits, known.orientation) == (2, 3, 1, 8, 8)
    assert known.quick == plain == header.png(plain).quick


@pytest.mark.parametrize(
    "broken",
    [
        png_bytes(tail=False),
        png_bytes()[:-20],
        png_bytes(crc=7),
        png_bytes(colour=3),
        png_bytes(colour=3, extra=[(b"tRNS", b"\0"), (b"PLTE", b"\0\0\0")]),
        png_bytes(colour=3, extra=[(b"PLTE", b"\0\0\0")] * 2),
        png_bytes(colour=3, extra=[(b"PLTE", b"")]),
        png_bytes(colour=3, extra=[(b"PLTE", b"\0\0")]),
        png_bytes(colour=2, extra=[(b"PLTE", b"\0" * 3 * 257)]),
        png_bytes(bits=1, extra=[(b"tRNS", b"\0\2")]),
        png_bytes().replace(
            chunk(b"IEND", b""), chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        ),
    ],
)
def test_png_with_a_doubt_is_not_quick(broken):
    assert header.png(broken).quick is None


@pytest.mark.parametrize(
    "broken", [png_bytes(width=0), png_bytes(bits=3), png_bytes(colour=5), png_bytes(bits=4, colour=2)]
)
def test_png_with_an_impossible_header(broken):
    assert header.png(broken) is None
    assert header.png(broken[:20]) is None


def test_sizes_that_must_be_known_before_opening():
    out = io.BytesIO()
    Image.new("RGB", (48, 32)).save(out, "ICO", sizes=[(48, 32), (16, 16)])
    assert header.ico_size(out.getvalue()) == (32, 48)
    for options in (
        {},
        {"lossless": True},
        {"save_all": True, "append_images": [Image.new("RGB", (30, 20), "red")]},
    ):
        out = io.BytesIO()
        Image.new("RGB", (30, 20)).save(out, "WEBP", **options)
        assert header.webp_size(out.getvalue()[:30]) == (20, 30)


def test_tiff_pages_are_counted_and_circles_end():
    pages = [Image.new("L", (3, 2), gray) for gray in range(5)]
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
    assert header.tiff_pages(out) == 5
    circle = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 0) + struct.pack("<I", 8)
    assert header.tiff_pages(io.BytesIO(circle)) == 1
    assert header.tiff_pages(io.BytesIO(b"II*\0\xff\xff\xff\xff")) == 1
