"""From a stream of a known format to pixels: OpenCV for whole files of common layouts, Pillow for the rest.

`visus.image.io` is the public side; it names the file in every error and documents the rules for values.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from visus.image import color, header

Problem = Literal["missing", "empty", "not a picture", "unsupported", "truncated", "damaged", "too large"]

# Format -> Pillow's reader. Opening these classes directly, instead of through `PIL.Image.open`, leaves the
# choice of the format to `header.sniff` and the pixel limit to us. None of them runs an external program.
_READERS = {
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "ICO": ("IcoImagePlugin", "IcoImageFile"),
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "JPEG2000": ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "PPM": ("PpmImagePlugin", "PpmImageFile"),
    "PSD": ("PsdImagePlugin", "PsdImageFile"),
    "QOI": ("QoiImagePlugin", "QoiImageFile"),
    "TGA": ("TgaImagePlugin", "TgaImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
}
FORMATS = tuple(_READERS)
"""Names of the formats that can be decoded, as `header.sniff` gives them."""

_ANIMATED = frozenset({"AVIF", "GIF", "PNG", "TIFF", "WEBP"})

# TIFF tags (TIFF 6.0)
_BITS, _ORIENTATION, _SAMPLES, _TILE_WIDTH, _TILE_LENGTH, _SAMPLE_FORMAT = 258, 274, 277, 322, 323, 339

_UNDO = {6: 8, 8: 6}  # the orientation that undoes another; all others undo themselves


class RefusedError(Exception):
    """Why a picture cannot be read. Its name is added by `visus.image.io`."""

    def __init__(self, problem: Problem, reason: str) -> None:
        super().__init__(problem, reason)
        self.problem, self.reason = problem, reason


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller of `visus.image.read` asked for; the fields are its arguments."""

    channels: int
    limit: int
    at_least: tuple[int, int] | None = None
    background: tuple[int, int, int] | None = None
    orient: bool = True
    fill: bool = False


def decode(stream: IO[bytes], format: str, frame: int, wish: Wish) -> NDArray[Any]:
    """One frame, with the channels that were asked for.

    Raises:
        RefusedError: The picture is larger than the limit, or of a kind that cannot be decoded.
        Exception: Whatever a decoder raises for damaged data.
    """
    if frame == 0 and format in ("JPEG", "PNG"):
        return _whole(stream.read(), format, wish)
    if format == "TIFF" and wish.channels not in (1, 3, 4):
        return _stored_tiff(stream, frame, wish)
    image = _open(stream, format, wish.limit)
    if not _found(image, format, frame, wish.limit):
        raise RefusedError("missing", f"it has no frame {frame}; the first is 0.")
    return _frame(image, format, wish)


def decode_all(stream: IO[bytes], format: str, wish: Wish) -> Iterator[NDArray[Any]]:
    """Every frame, one at a time. Raises as `decode` does."""
    image = _open(stream, format, wish.limit)
    index = 0
    while _found(image, format, index, wish.limit):
        yield _frame(image, format, wish)
        index += 1


def peek(stream: IO[bytes], format: str, limit: int) -> header.Header:
    """The header, without decoding. Raises as `decode` does."""
    known = None
    if format == "JPEG":
        # The header nearly always lies in the first 64 KiB; long metadata may push it further back.
        head = stream.read(1 << 16)
        known = header.jpeg(head) or header.jpeg(head + stream.read())
    elif format == "PNG":
        known = header.png(stream.read())
    if known is None:
        stream.seek(0)
        known = _described(_open(stream, format, limit), stream, format)
    _check(known.height, known.width, limit)
    return known


def _check(height: int, width: int, limit: int) -> None:
    if height < 1 or width < 1:
        raise RefusedError("damaged", f"its header claims a size of {height} x {width}.")
    if height * width > limit:
        raise RefusedError(
            "too large",
            f"its header claims {height} x {width} = {height * width / 1e6:,.0f} megapixels, above the limit "
            f"of {limit / 1e6:,g}. If you trust it, raise max_pixels or VISUS_MAX_PIXELS.",
        )


def _whole(data: bytes, format: str, wish: Wish) -> NDArray[Any]:
    known = header.jpeg(data) if format == "JPEG" else header.png(data)
    if known is not None:
        _check(known.height, known.width, wish.limit)
        if known.quick is not None:
            pixels = _quick_jpeg(known, wish) if format == "JPEG" else _quick_png(known, wish)
            if pixels is not None:
                return _upright(_finished(pixels, wish), known.orientation if wish.orient else 1)
    if format == "JPEG" and wish.fill:
        data += b"\xff\xd9"  # an end marker makes libjpeg fill in what is missing
    return _frame(_open(io.BytesIO(data), format, wish.limit), format, wish)


# OpenCV

_GRAY = (
    cv2.IMREAD_GRAYSCALE,
    cv2.IMREAD_REDUCED_GRAYSCALE_2,
    cv2.IMREAD_REDUCED_GRAYSCALE_4,
    cv2.IMREAD_REDUCED_GRAYSCALE_8,
)
# RGB straight from the decoder; what OpenCV calls reduced gray is the reduction alone once a colour is named.
_COLOR = tuple(cv2.IMREAD_COLOR_RGB | reduction for reduction in (0, *_GRAY[1:]))


def _quick_jpeg(known: header.Header, wish: Wish) -> NDArray[Any] | None:
    halvings = 0
    if wish.at_least is not None:
        height, width = wish.at_least
        if wish.orient and known.orientation >= 5:
            height, width = width, height
        while (
            halvings < 3
            and -(-known.height >> halvings + 1) >= height
            and -(-known.width >> halvings + 1) >= width
        ):
            halvings += 1
    flags = (_GRAY if known.channels == 1 else _COLOR)[halvings] | cv2.IMREAD_IGNORE_ORIENTATION
    pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(known.quick or b"", np.uint8), flags)
    return pixels


def _quick_png(known: header.Header, wish: Wish) -> NDArray[Any] | None:
    # OpenCV has no palette indices and drops the transparency of gray; Pillow has no type for 16-bit colour.
    deep = known.bits == 16 and known.channels > 1
    if wish.background is not None or not (wish.channels in (1, 3) or deep):
        return None
    pixels = cv2.imdecode(np.frombuffer(known.quick or b"", np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim == 2:
        return pixels
    if known.channels == 2:
        return pixels[..., [0, 3]]
    return color.rgb_to_bgr(pixels)[..., : known.channels]


# Pillow


def _open(stream: IO[bytes], format: str, limit: int) -> ImageFile.ImageFile:
    """Opens the picture, which reads its header only."""
    module, reader = _READERS[format]
    try:
        plugin = getattr(importlib.import_module(f"PIL.{module}"), reader)
    except (ImportError, AttributeError):
        raise RefusedError("unsupported", f"the installed Pillow cannot read {format}. Update it.") from None
    # These two take memory for their pixels as soon as they are opened.
    if format == "WEBP" and (size := header.webp_size(stream.read(30))):
        _check(*size, limit)
    elif format == "ICO":
        _check(*header.ico_size(stream.read()), limit)
    stream.seek(0)
    image: ImageFile.ImageFile = plugin(stream)
    _check_opened(image, limit)
    return image


def _tags(image: Image.Image) -> Any:
    """The tags of a TIFF; nothing for other formats."""
    return getattr(image, "tag_v2", {})


def _check_opened(image: ImageFile.ImageFile, limit: int) -> None:
    _check(image.height, image.width, limit)
    # A small TIFF may consist of huge tiles, which libtiff would allocate.
    tile = _tags(image).get(_TILE_LENGTH, 1), _tags(image).get(_TILE_WIDTH, 1)
    if all(isinstance(side, int) for side in tile):
        _check(*tile, limit)


def _found(image: ImageFile.ImageFile, format: str, frame: int, limit: int) -> bool:
    """Moves to a frame, if there is such a frame."""
    if frame == 0:
        return True
    if format not in _ANIMATED:
        return False
    try:
        image.seek(frame)
    except EOFError:
        return False
    _check_opened(image, limit)
    return True


def _described(image: ImageFile.ImageFile, stream: IO[bytes], format: str) -> header.Header:
    """What Pillow knows of an opened picture."""
    bits = _tags(image).get(
        _BITS, {"1": 1, "I": 32, "F": 32}.get(image.mode, 16 if "16" in image.mode else 8)
    )
    orientation = _orientation(image)
    height, width = image.height, image.width
    if format == "TIFF" and orientation >= 5:  # Pillow has already turned it
        height, width = width, height
    channels = len(image.getbands())
    if image.mode in ("P", "PA"):
        channels = 4 if image.mode == "PA" or "transparency" in image.info else 3
    if format == "TIFF":
        frames = header.tiff_pages(stream)
    else:
        frames = getattr(image, "n_frames", 1) if format in _ANIMATED else 1
    return header.Header(
        height=height,
        width=width,
        channels=channels,
        bits=max(bits) if isinstance(bits, tuple) else bits,
        mode=image.mode,
        orientation=orientation,
        frames=frames,
        quick=None,
    )


def _orientation(image: ImageFile.ImageFile) -> int:
    if _tags(image):
        value = _tags(image).get(_ORIENTATION, 1)
        return value if isinstance(value, int) and 1 <= value <= 8 else 1
    exif = image.info.get("exif")
    return header.exif_orientation(exif) if isinstance(exif, bytes) else 1


def _frame(image: ImageFile.ImageFile, format: str, wish: Wish) -> NDArray[Any]:
    """Decodes the current frame."""
    orientation = _orientation(image)
    signed = not {1, 4}.issuperset(_tags(image).get(_SAMPLE_FORMAT, (1,)))
    loaded: Image.Image = image
    try:
        if format == "TIFF" and image.width * image.height > (Image.MAX_IMAGE_PIXELS or wish.limit):
            # Pillow would ask its own, process-wide limit before it takes the memory; ours has been asked.
            image.im = Image.new(image.mode, getattr(image, "_tile_size", image.size), None).im
        image.load()
    except Exception:
        if not wish.fill or (salvaged := _salvaged(image)) is None:
            raise
        loaded = salvaged
        turn = orientation if wish.orient else 1
    else:
        turn = orientation if wish.orient else 1
        if format == "TIFF":  # Pillow has turned it, whether we want it or not
            turn = 1 if wish.orient else _UNDO.get(orientation, orientation)
    if wish.channels in (1, 3, 4) and (signed or loaded.mode in ("I", "F")):
        raise RefusedError(
            "unsupported",
            "its samples are signed, 32-bit or floating point numbers, which have no fixed brightness range. "
            "Read it with channels=0 and scale it yourself.",
        )
    return _upright(_finished(_pillow_pixels(loaded, wish), wish), turn)


def _salvaged(image: ImageFile.ImageFile) -> Image.Image | None:
    """What was decoded before the data ended; Pillow keeps it with its process-wide LOAD_TRUNCATED_IMAGES."""
    try:
        return image._new(image.im)
    except Exception:
        return None  # not even the memory for the pixels was there yet


def _pillow_pixels(image: Image.Image, wish: Wish) -> NDArray[Any]:
    """The samples as stored, or as gray or RGB with or without alpha."""
    mode = image.mode
    if wish.channels in (1, 3, 4) and not mode.startswith("I;16"):
        if mode == "PA" or "transparency" in image.info:
            image = image.convert("RGBA")
        elif mode not in ("L", "LA", "RGB", "RGBA"):
            image = image.convert({"1": "L", "La": "LA", "RGBa": "RGBA"}.get(mode, "RGB"))
    pixels = np.array(image)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * 255
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


# TIFF with samples that Pillow has no type for


def _stored_tiff(stream: IO[bytes], frame: int, wish: Wish) -> NDArray[Any]:
    """The samples of one page, in their own type and number."""
    try:
        image = _open(stream, "TIFF", wish.limit)
        if _found(image, "TIFF", frame, wish.limit) and _faithful(image):
            return _frame(image, "TIFF", wish)
    except SyntaxError:
        pass  # "unknown pixel mode": five channels, say
    pixels, orientation = _tiff_samples(stream, frame, wish.limit)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return _upright(_finished(pixels, wish), orientation if wish.orient and orientation in range(1, 9) else 1)


def _faithful(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow's layout holds all channels and bits of the file."""
    bits, kinds = _tags(image).get(_BITS, (1,)), set(_tags(image).get(_SAMPLE_FORMAT, (1,)))
    if len(image.getbands()) != _tags(image).get(_SAMPLES, 1):
        return False
    if kinds <= {1, 4}:
        return max(bits) <= 8 or image.mode.startswith("I;16")
    return bits == (32,) and (image.mode, kinds) in (("F", {3}), ("I", {2}))


def _tiff_samples(stream: IO[bytes], frame: int, limit: int) -> tuple[NDArray[Any], int]:
    """Samples and orientation of one page."""
    import tifffile  # comes with scikit-image; slow to import and rarely needed

    stream.seek(0)
    with tifffile.TiffFile(stream) as tiff:
        if frame >= len(tiff.pages):
            raise RefusedError("missing", f"it has no page {frame}; the first is 0.")
        page = tiff.pages[frame].aspage()
        _check(page.imagelength, page.imagewidth, limit)
        _check(max(1, page.tilelength), max(1, page.tilewidth), limit)
        if page.nbytes > 16 * limit:
            raise RefusedError("too large", f"its samples take {page.nbytes:,} bytes, more than 16 a pixel.")
        orientation = int(page.tags.valueof(_ORIENTATION, default=1))
        try:
            pixels = page.asarray(maxworkers=1)
        except ValueError as error:  # a compression that tifffile leaves to another package
            stream.seek(0)
            data = np.frombuffer(stream.read(), np.uint8)
            turned = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if frame == 0 else None
            if turned is None:
                raise RefusedError("unsupported", f"its samples cannot be decompressed ({error}).") from error
            turned = turned if turned.ndim == 2 else color.rgb_to_bgr(turned)
            return _upright(turned, _UNDO.get(orientation, orientation)), orientation
        if page.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, 2)
        if pixels.shape[:2] != (page.imagelength, page.imagewidth) or pixels.ndim > 3:
            raise RefusedError("unsupported", f"its pages have the axes {page.axes}, which form no picture.")
        return pixels, orientation


# From the decoder's samples to what was asked for


def _finished(pixels: NDArray[Any], wish: Wish) -> NDArray[Any]:
    """Bits, alpha and channels as asked for.

    Args:
        pixels: `(height, width)` or `(height, width, n)`: gray, gray and alpha, RGB, RGB and alpha, or as
            stored.
        wish: What was asked for.
    """
    want = wish.channels
    if want == 0:
        return np.ascontiguousarray(pixels)
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    have = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.dtype != np.uint8 or (have != want and (want not in (1, 3, 4) or have > 4)):
        raise RefusedError(
            "unsupported", f"it has {have} channels of {pixels.dtype}, and {want} were asked for."
        )
    if have in (2, 4) and wish.background is not None:
        pixels = color.over(pixels, wish.background)
    return np.ascontiguousarray(color.converted(pixels, want))


def _upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Applies an EXIF orientation: what it says about row 0 and column 0 becomes true of top and left."""
    if orientation == 1:
        return pixels
    if orientation >= 5:
        # cv2.transpose is many times faster, but knows few channels.
        few = pixels.ndim == 2 or pixels.shape[2] <= 4
        pixels = cv2.transpose(pixels) if few else np.ascontiguousarray(pixels.swapaxes(0, 1))
    upside_down, mirrored = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    if upside_down or mirrored:
        pixels = cv2.flip(pixels, -1 if upside_down and mirrored else int(mirrored))
    return pixels
