"""What the first bytes of a picture say: its format, size, bits and orientation. Nothing is decoded here.

The parsers read JPEG and PNG far enough to know, before any pixel is decoded, how large the picture claims to
be, whether its structure is whole, and whether OpenCV's fast decoder may have it. Whatever is odd about a
file makes them answer None or `quick=None`; Pillow then has the word.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import IO, Literal

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"8BPS", "PSD"),
    (b"qoif", "QOI"),
    (b"\0\0\1\0", "ICO"),
)
_TGA_FOOTER = b"TRUEVISION-XFILE.\0"

# What people keep in a folder of pictures that is none, or none that can be decoded here.
_FOREIGN = (
    (re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.I), "an HTML page"),
    (
        re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!doctype svg|<svg)", re.I | re.S),
        "an SVG drawing",
    ),
    (re.compile(rb"\s*<\?xml", re.I), "an XML document"),
    (re.compile(rb"....ftyp(hei|hev|mif1|msf1)", re.S), "a HEIC picture"),
    (re.compile(rb"....ftyp|....moov|\x1aE\xdf\xa3|RIFF....AVI ", re.S), "a video"),
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), "a PostScript document"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
    (re.compile(rb"\x00+\Z"), "nothing but zero bytes"),
    (re.compile(rb"[\t\r\n\x20-\x7e]+\Z"), "a text file"),
)

HEAD = 512
"""Number of leading bytes that `sniff` and `describe` want to see."""

MAX_SCANS = 100
"""Scans that a progressive JPEG may have: encoders write about ten, decompression bombs thousands."""

MAX_SEGMENTS = 10_000
"""Segments that a JPEG may have: large colour profiles and metadata come in a few hundred."""

MAX_PAGES = 100_000
"""Pages of a TIFF that are counted."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about its first picture.

    Attributes:
        height: Rows as stored, before the orientation is applied.
        width: Columns as stored.
        channels: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha or CMYK; a palette counts as its colours.
        bits: Bits per sample.
        mode: Pillow's name of the pixel layout.
        orientation: EXIF orientation 1..8, 1 where none is given.
        frames: Number of frames.
        quick: Bytes that OpenCV decodes to the same pixels as Pillow, or None.
    """

    height: int
    width: int
    channels: int
    bits: int
    mode: str
    orientation: int
    frames: int
    quick: bytes | None


def sniff(head: bytes, tail: bytes = b"") -> str | None:
    """The format, from content alone: from its signature, or for TGA from the footer.

    Args:
        head: The first `HEAD` bytes (fewer if the file is shorter).
        tail: The last 18 bytes.

    Returns:
        Pillow's name of the format, or None if it is none of those that visus reads.

    Example:
        >>> sniff(b"GIF89a...")
        'GIF'
    """
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp" and b"avi" in (brand := head[8 : max(16, min(_uint32(head, 0), HEAD))]):
        return "AVIF" if b"avif" in brand or b"avis" in brand else None
    if head[:1] == b"P" and head[1:2] in b"123456fF" and head[2:3] in b" \t\r\n#":
        return "PPM"
    return "TGA" if tail.endswith(_TGA_FOOTER) else None


def describe(head: bytes) -> str | None:
    """What a file is that is no readable picture, in words, or None if nothing is known of it."""
    for pattern, words in _FOREIGN:
        if pattern.match(head):
            return words
    return None


def exif_orientation(exif: bytes) -> int:
    r"""The orientation tag in a block of EXIF data (EXIF 2.32, tag 0x0112).

    Args:
        exif: The block, with or without its leading `Exif\0\0`.

    Returns:
        1..8; 1 where the tag is missing, out of range or unreadable.
    """
    tiff = exif[6:] if exif[:6] == b"Exif\0\0" else exif
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, at)
            if tag == 0x0112:
                (value,) = struct.unpack_from(order + {3: "H", 4: "I"}.get(kind, "H"), tiff, at + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


# JPEG (ITU-T T.81, annex B)

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def jpeg(data: bytes) -> Header | None:
    """Walks the segments of a JPEG file up to its end marker.

    Args:
        data: The whole file, or its beginning.

    Returns:
        The header, or None if there is no frame segment where one should be. `quick` is set for a whole
        picture, 8-bit gray or colour, baseline or progressive, without stray bytes.

    Raises:
        ValueError: The file is made to keep a decoder busy: more scans or segments than any encoder writes.
    """
    at, orientation, frame, scans, segments = 2, 0, None, 0, 0
    sound, scanning, whole = True, False, False
    while found := _NEXT_MARKER.search(data, at):
        start = found.start()
        marker = data[start + 1]
        sound = sound and (start == at or scanning)
        if marker == 0xD9:
            # A second picture behind the first (MPO, gain map) is no damage; other bytes may be.
            whole = start + 2 == len(data) or data[start + 2 : start + 5] == b"\xff\xd8\xff"
            break
        if start + 4 > len(data):
            break
        length = data[start + 2] << 8 | data[start + 3]
        at = start + 2 + length
        scanning = marker == 0xDA
        segments += 1
        if length < 2 or marker in (0x01, 0xD8):
            sound, at = False, start + 2
        elif scanning:
            scans += 1
            sound = sound and frame is not None
        elif marker in _FRAMES:
            sound = sound and frame is None and length >= 8 and start + 10 <= len(data)
            if sound:
                frame = (marker, *struct.unpack_from(">BHHB", data, start + 4))
        elif marker == 0xE1 and not orientation and data[start + 4 : start + 10] == b"Exif\0\0":
            orientation = exif_orientation(data[start + 10 : at])
        if scans > MAX_SCANS or segments > MAX_SEGMENTS:
            raise ValueError(f"more than {MAX_SCANS} scans or {MAX_SEGMENTS} segments")
    if frame is None:
        return None
    coding, bits, height, width, channels = frame
    plain = coding in (0xC0, 0xC1, 0xC2) and bits == 8 and channels in (1, 3) and height > 0 and width > 0
    return Header(
        height=height,
        width=width,
        channels=channels,
        bits=bits,
        mode={1: "L", 3: "RGB", 4: "CMYK"}.get(channels, "?"),
        orientation=orientation or 1,
        frames=1,
        quick=data if plain and sound and whole and scans else None,
    )


# PNG (W3C PNG specification, third edition)

_PNG_MODES = {0: (1, "L"), 2: (3, "RGB"), 3: (3, "P"), 4: (2, "LA"), 6: (4, "RGBA")}
_PNG_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def png(data: bytes) -> Header | None:
    """Walks the chunks of a PNG file.

    Returns:
        The header, or None if the file does not begin with a sound IHDR chunk. `quick` holds the chunks that
        make the pixels and nothing else (no text, profile or animation, where bombs and oddities hide), if
        all of them are there, once and in order, with the right checksums and possible lengths.
    """
    if len(data) < 33 or data[8:16] != b"\0\0\0\rIHDR":
        return None
    width, height, bits, colour, packing, filtering, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31) or bits not in _PNG_BITS.get(colour, ()):
        return None
    kept, orientation, frames, still = [data[:8]], 1, 0, True
    kinds: list[bytes] = []
    sound = (packing, filtering) == (0, 0) and interlace < 2
    at, kind = 8, b""
    while kind != b"IEND" and at + 12 <= len(data):
        length = _uint32(data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            break
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            sound = sound and zlib.crc32(data[at + 4 : end - 4]) == _uint32(data, end - 4)
            sound = sound and (kind == b"IDAT" or kind not in kinds)
            if kind == b"PLTE":
                sound = sound and length % 3 == 0 and 0 < length <= 3 * 256
            elif kind == b"tRNS" and colour == 0 and length == 2:
                sound = sound and int.from_bytes(data[at + 8 : at + 10], "big") < 1 << bits
            kept.append(data[at:end])
        elif kind == b"eXIf":
            orientation = exif_orientation(data[at + 8 : end - 4])
        elif kind == b"acTL" and length >= 8 and b"IDAT" not in kinds:
            frames = _uint32(data, at + 8)
        elif kind == b"fcTL" and b"IDAT" not in kinds:
            still = False
        if not kinds or kinds[-1] != kind:
            kinds.append(kind)
        at = end
    channels, mode = _PNG_MODES[colour]
    if colour == 3 and b"tRNS" in kinds:
        channels = 4
    if colour == 0 and bits in (1, 16):
        mode = {1: "1", 16: "I;16"}[bits]
    pixels = [kind for kind in kinds if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")]
    order = [b"IHDR", *[k for k in (b"PLTE", b"tRNS") if k in pixels], b"IDAT", b"IEND"]
    sound = sound and pixels == order and kinds.count(b"IDAT") == 1 and (colour != 3 or b"PLTE" in pixels)
    return Header(
        height=height,
        width=width,
        channels=channels,
        bits=bits,
        mode=mode,
        orientation=orientation,
        frames=frames + still if 0 < frames < 1 << 31 else 1,
        quick=b"".join(kept) if sound else None,
    )


# Sizes that must be known before Pillow opens a file, because opening alone already takes the memory.


def webp_size(head: bytes) -> tuple[int, int] | None:
    """`(height, width)` of a WebP canvas (RFC 9649), or None."""
    if head[12:16] == b"VP8X" and len(head) >= 30:
        return int.from_bytes(head[27:30], "little") + 1, int.from_bytes(head[24:27], "little") + 1
    if head[12:16] == b"VP8L" and len(head) >= 25:
        packed = int.from_bytes(head[21:25], "little")
        return (packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1
    if head[12:16] == b"VP8 " and len(head) >= 30:
        width, height = struct.unpack_from("<HH", head, 26)
        return height & 0x3FFF, width & 0x3FFF
    return None


def ico_size(data: bytes) -> tuple[int, int]:
    """`(height, width)` of the largest picture inside an icon file, as the pictures themselves claim it."""
    sizes = [(0, 0)]
    for entry in range(6, min(len(data) - 15, 6 + 16 * int.from_bytes(data[4:6], "little")), 16):
        start = int.from_bytes(data[entry + 12 : entry + 16], "little")
        inside = data[start : start + 24]
        if inside[:8] == b"\x89PNG\r\n\x1a\n":
            sizes.append((_uint32(inside, 20), _uint32(inside, 16)))
        elif len(inside) >= 12:
            width, height = struct.unpack_from("<ii", inside, 4)
            sizes.append((abs(height), abs(width)))
    return max(sizes, key=lambda size: size[0] * size[1])


def tiff_pages(stream: IO[bytes]) -> int:
    """Number of pages of a TIFF file, whose chain of directories may be broken or run in circles."""
    stream.seek(0)
    head = stream.read(16)
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    big = head[2:4] in (b"+\0", b"\0+")
    count, entry, link = (8, 20, 8) if big else (2, 12, 4)
    page = int.from_bytes(head[8:16] if big else head[4:8], order)
    seen: set[int] = set()
    while page and page not in seen and len(seen) < MAX_PAGES:
        stream.seek(page)
        entries = stream.read(count)
        if len(entries) < count:
            break
        seen.add(page)
        stream.seek(page + count + entry * int.from_bytes(entries, order))
        page = int.from_bytes(stream.read(link), order)
    return max(1, len(seen))


def _uint32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
