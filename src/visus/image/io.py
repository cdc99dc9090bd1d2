"""Reading any picture a user may have, and writing one.

The format comes from the content, never from the suffix. Whole JPEG and PNG files in common layouts go to
OpenCV, which decodes them about twice as fast as Pillow and to the same pixels; everything else, and
everything odd, goes to Pillow. Both decode only after the claimed size was checked against a pixel limit,
only formats that run no external program are read (EPS, WMF and their like are not), and whatever goes wrong
is an `ImageError` that names the file.

Rules for values, because readers differ:

- 16 bits to 8: the high byte (`value >> 8`), as PNG and TIFF libraries do for colour. Nothing is stretched: a
  picture that uses 12 of its 16 bits comes out dark; read it with `channels=0` and scale it yourself.
- 1, 2 and 4 bits to 8: the full range 0..255.
- Floating point, signed and 32-bit samples have no fixed brightness range: they are only read with
  `channels=0`.
- Alpha is dropped, or the picture is laid over a `background`. CMYK is converted without a colour profile,
  Lab with its standard one; other embedded colour profiles are not applied.

A JPEG that is damaged inside but structurally whole is read as its decoder makes it, by OpenCV as by Pillow;
libjpeg and libtiff may say so on stderr, which nothing can silence for one call alone.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visus.image import color, header
from visus.image.decode import FORMATS, Problem, RefusedError, Wish, decode, decode_all, peek
from visus.structures import InputError

MAX_PIXELS = 200_000_000
"""Pixels that a picture may have, unless `max_pixels` or the variable VISUS_MAX_PIXELS says otherwise."""

MAX_BYTES = 2**31
"""Bytes that an encoded picture may have, except a TIFF, which is not read whole."""

EXTENSIONS = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".png",
        ".apng",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".bmp",
        ".avif",
    }
    | {".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".psd", ".qoi", ".tga"}
)
"""Suffixes, in lower case, of files that are likely pictures that `read` can read."""

# Pillow warns about odd metadata without naming the file. What matters comes back as an ImageError.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.(Tiff|Png|Ico)ImagePlugin")


class ImageError(InputError):
    """A picture that cannot be read: which one, what is wrong with it, what to do.

    Attributes:
        source: The file, or `The picture in memory`.
        problem: The kind of trouble, for counting: `missing`, `empty`, `not a picture`, `unsupported`,
            `truncated`, `damaged` or `too large`.
        reason: The trouble in words.
    """

    def __init__(self, source: str, problem: Problem, reason: str) -> None:
        super().__init__(source, problem, reason)
        self.source = source
        self.problem: Problem = problem
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source} cannot be read: {self.reason}"


@dataclass(frozen=True)
class ImageInfo:
    """What a file says about its picture, known without decoding it.

    Attributes:
        format: `JPEG`, `PNG`, `GIF`, `WEBP`, `TIFF`, ... by content.
        height: Rows of the picture as `read` gives it: upright.
        width: Columns of the picture as `read` gives it.
        channels: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha or CMYK; a palette counts as its colours.
        bits: Bits per sample.
        mode: Pillow's name of the layout, such as `RGB`, `CMYK`, `P` (palette), `I;16`.
        frames: Number of frames of an animation, pages of a TIFF.
        orientation: EXIF orientation 1..8 that `read` applies; 1 is upright.
        bytes: Size of the file.
    """

    format: str
    height: int
    width: int
    channels: int
    bits: int
    mode: str
    frames: int
    orientation: int
    bytes: int


def read(
    source: str | Path | bytes,
    *,
    channels: int = 3,
    frame: int = 0,
    max_pixels: int | None = None,
    at_least: tuple[int, int] | None = None,
    background: tuple[int, int, int] | None = None,
    orient: bool = True,
    truncated: Literal["error", "fill"] = "error",
) -> NDArray[Any]:
    """Reads a picture. Safe to call from many threads at once; the decoders release the GIL.

    Args:
        source: A file, or the bytes of one.
        channels: 3 for RGB, 1 for gray, 4 for RGB and alpha, all uint8. 0 for the samples as they are stored:
            any number of channels, 16-bit, signed and floating point samples in their own type, a palette
            picture as its indices. Another number: as stored, which must be that many channels of 8 or 16
            bits, as uint8.
        frame: Which frame of an animation, or page of a TIFF.
        max_pixels: Refuse larger pictures before decoding; None means VISUS_MAX_PIXELS or 200 million.
        at_least: `(height, width)` that suffices. A JPEG may then be decoded at 1/2, 1/4 or 1/8 of its size,
            which is several times faster, as long as the result is at least that large.
        background: RGB colour that a picture with alpha is laid over; None drops the alpha channel.
        orient: Turn the picture upright, as its EXIF orientation tells.
        truncated: What to do with a file that is cut off or damaged inside: `error`, or `fill` to keep what
            can be decoded and leave the rest black or gray.

    Returns:
        uint8 `(height, width, 3)` for `channels=3`, `(height, width)` for 1; for 0 `(height, width)` or
        `(height, width, n)` in the type of the file.

    Raises:
        ImageError: The file cannot be read.
        InputError: An argument is wrong.

    Example:
        >>> read("flower.jpg").shape                                # doctest: +SKIP
        (375, 500, 3)
    """
    if channels < 0 or frame < 0:
        raise InputError(f"channels and frame are at least 0. Received channels={channels}, frame={frame}.")
    if truncated not in ("error", "fill"):
        raise InputError(f"truncated is 'error' or 'fill'. Received {truncated!r}.")
    wish = Wish(channels, _limit(max_pixels), at_least, background, orient, truncated == "fill")
    with _opened(source) as (stream, format, _):
        return decode(stream, format, frame, wish)


def frames(
    source: str | Path | bytes,
    *,
    channels: int = 3,
    max_pixels: int | None = None,
    background: tuple[int, int, int] | None = None,
    orient: bool = True,
) -> Iterator[NDArray[Any]]:
    """Reads all frames of a GIF, WebP, APNG or AVIF animation, or all pages of a TIFF, one at a time.

    A picture that stands still has one frame. Arguments and errors are those of `read`; pages of a TIFF may
    differ in size.

    Yields:
        One array per frame, as `read(source, frame=i)` gives it.

    Raises:
        ImageError: A frame cannot be read; those before it have been yielded.

    Example:
        >>> clip = np.stack(list(frames("dance.gif")))              # doctest: +SKIP
    """
    wish = Wish(channels, _limit(max_pixels), background=background, orient=orient)
    with _opened(source) as (stream, format, _):
        yield from decode_all(stream, format, wish)


def probe(source: str | Path | bytes, *, max_pixels: int | None = None) -> ImageInfo:
    """Reads a picture's header. That it can be read does not promise that all pixels can.

    Args:
        source: A file, or the bytes of one.
        max_pixels: Refuse larger pictures, as `read` does.

    Raises:
        ImageError: There is no readable header, or the picture is too large.

    Example:
        >>> probe("flower.jpg").format                              # doctest: +SKIP
        'JPEG'
    """
    limit = _limit(max_pixels)
    with _opened(source) as (stream, format, size):
        known = peek(stream, format, limit)
        turned = known.orientation >= 5
        return ImageInfo(
            format=format,
            height=known.width if turned else known.height,
            width=known.height if turned else known.width,
            channels=known.channels,
            bits=known.bits,
            mode=known.mode,
            frames=known.frames,
            orientation=known.orientation,
            bytes=size,
        )


@contextmanager
def _opened(source: str | Path | bytes) -> Iterator[tuple[IO[bytes], str, int]]:
    """Stream, format and size of a source; any failure inside becomes an ImageError with its name."""
    name = "The picture in memory"
    if isinstance(source, (str, os.PathLike)):
        # A file name is untrusted text, too: it may hold terminal escapes.
        name = str(source) if str(source).isprintable() else ascii(str(source))
    try:
        with _stream(source) as stream:
            size = stream.seek(0, os.SEEK_END)
            yield stream, _format(stream, size), size
    except RefusedError as error:
        raise ImageError(name, error.problem, error.reason) from error.__cause__
    except InputError:
        raise
    except MemoryError as error:
        raise ImageError(name, "too large", "there is not enough memory to decode it.") from error
    except Exception as error:
        # Decoders raise nearly every type of exception for hostile input.
        raise ImageError(name, *_diagnosis(error)) from error


def _stream(source: str | Path | bytes) -> IO[bytes]:
    if not isinstance(source, (str, os.PathLike)):
        return io.BytesIO(source)
    try:
        mode = os.stat(source).st_mode  # noqa: PTH116  (pathlib takes several times as long)
        if stat.S_ISDIR(mode):
            raise RefusedError("not a picture", "it is a folder.")
        if not stat.S_ISREG(mode):
            raise RefusedError("not a picture", "it is a device, a pipe or a socket.")
        return open(source, "rb")  # noqa: PTH123
    except FileNotFoundError:
        raise RefusedError("missing", "there is no such file.") from None
    except (OSError, ValueError) as error:
        raise RefusedError("missing", f"it cannot be opened ({_words(error)}).") from error


def _format(stream: IO[bytes], size: int) -> str:
    if size == 0:
        raise RefusedError("empty", "it is empty (0 bytes).")
    stream.seek(0)
    head = stream.read(header.HEAD)
    format = header.sniff(head)
    if format is None:
        stream.seek(-min(size, 18), os.SEEK_END)
        format = header.sniff(head, stream.read())
    if format is None:
        what = header.describe(head)
        if what == "a HEIC picture":
            raise RefusedError("unsupported", "it is a HEIC picture. Convert it to JPEG or PNG.")
        seen = f"it is {what}" if what else f"its first bytes are {head[:8].hex(' ')}"
        raise RefusedError("not a picture", f"{seen}. Expected one of {', '.join(FORMATS)}.")
    if size > MAX_BYTES and format != "TIFF":
        raise RefusedError("too large", f"it has {size:,} bytes, more than {MAX_BYTES:,}.")
    stream.seek(0)
    return format


def _limit(max_pixels: int | None) -> int:
    value: int | str = os.environ.get("VISUS_MAX_PIXELS", MAX_PIXELS) if max_pixels is None else max_pixels
    try:
        limit = int(value)
    except ValueError:
        limit = 0
    if limit < 1:
        raise InputError(f"The pixel limit (max_pixels, VISUS_MAX_PIXELS) is at least 1. Received {value!r}.")
    return limit


def _diagnosis(error: Exception) -> tuple[Problem, str]:
    words = _words(error)
    if isinstance(error, Image.DecompressionBombError):
        return "too large", f"Pillow takes it for a decompression bomb ({words})."
    if "truncated" in words.lower() or isinstance(error, (EOFError, IndexError, struct.error)):
        return (
            "truncated",
            "it is cut off before its end. Get a whole copy, or read it with truncated='fill'.",
        )
    if "unknown pixel mode" in words:
        return "unsupported", "it is a TIFF of a kind that is neither gray nor RGB. Try it with channels=0."
    if "unsupported" in words.lower() or "not supported" in words.lower():
        return "unsupported", f"it is of a variety that cannot be decoded ({words})."
    return "damaged", f"its data is damaged ({words})."


def _words(error: Exception) -> str:
    words = str(error) or type(error).__name__
    return (words if words.isprintable() else ascii(words))[:200]


# Suffix -> types, numbers of channels, and OpenCV's name for the quality.
_LAYOUTS: dict[str, tuple[tuple[str, ...], tuple[int, ...], int | None]] = {
    ".jpg": (("uint8",), (1, 3), cv2.IMWRITE_JPEG_QUALITY),
    ".jpeg": (("uint8",), (1, 3), cv2.IMWRITE_JPEG_QUALITY),
    ".png": (("uint8", "uint16"), (1, 3, 4), None),
    ".webp": (("uint8",), (1, 3, 4), cv2.IMWRITE_WEBP_QUALITY),
    ".tif": (("uint8", "uint16", "float32"), (1, 3, 4), None),
    ".tiff": (("uint8", "uint16", "float32"), (1, 3, 4), None),
    ".bmp": (("uint8",), (1, 3), None),
    ".ppm": (("uint8",), (3,), None),
    ".pgm": (("uint8",), (1,), None),
}


def write(path: str | Path, image: NDArray[Any], *, quality: int = 95) -> None:
    """Writes a picture in the format that the suffix names, as a whole or not at all.

    Args:
        path: `.jpg`, `.png`, `.webp`, `.tif`, `.bmp`, `.ppm` or `.pgm`, in an existing folder.
        image: uint8 `(height, width)` or `(height, width, 1)` gray, or `(height, width, 3)` RGB; PNG, WebP
            and TIFF take `(height, width, 4)` with alpha, PNG and TIFF uint16, TIFF float32.
        quality: 1..100, for JPEG and WebP.

    Raises:
        InputError: The format, the array or the folder does not fit.

    Example:
        >>> write("red.png", np.full((20, 30, 3), (255, 0, 0), np.uint8))   # doctest: +SKIP
    """
    path, image = Path(path), np.asarray(image)
    suffix = path.suffix.lower()
    if suffix not in _LAYOUTS:
        known = ", ".join(_LAYOUTS)
        raise InputError(f"{path} cannot be written: use one of {known}. Received {suffix or 'no suffix'}.")
    types, numbers, quality_key = _LAYOUTS[suffix]
    channels = image.shape[2] if image.ndim == 3 else 1
    if (
        image.ndim not in (2, 3)
        or 0 in image.shape
        or channels not in numbers
        or str(image.dtype) not in types
    ):
        raise InputError(
            f"{path} cannot be written: {suffix} holds {' or '.join(types)} of shape (height, width) or "
            f"(height, width, {' or '.join(map(str, numbers))}). Received {image.dtype} of {image.shape}."
        )
    if not 1 <= quality <= 100:
        raise InputError(f"The quality of a JPEG or WebP lies in 1..100. Received {quality}.")
    stored = image if channels == 1 else color.rgb_to_bgr(image)
    done, encoded = cv2.imencode(suffix, stored, [] if quality_key is None else [quality_key, quality])
    if not done:
        raise InputError(f"{path} cannot be written: {image.shape[:2]} pixels are too many for {suffix}.")
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(encoded.tobytes())
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)
