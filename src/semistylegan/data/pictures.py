"""Single pictures: reading, writing, resizing, tiling. uint8 H x W x C outside, float B x C x H x W in [-1, 1] inside.

How a file is read:

=======================  ================================================================
in the file              becomes
=======================  ================================================================
grey, black and white    1 channel
16-bit grey              1 channel, scaled to 8 bits by rounding (65535 -> 255)
grey with alpha          1 channel, laid over white
RGB, JPEG YCbCr          3 channels (16-bit colour keeps its high byte)
palette, CMYK            3 channels
RGB or palette + alpha   3 channels, laid over white
turned by EXIF           turned upright (JPEG, PNG and WebP)
=======================  ================================================================
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from semistylegan.errors import UserError
from semistylegan.files import atomic_path

if TYPE_CHECKING:
    import torch  # at run time where tensors are made: whoever looks at pictures alone need not wait for it

ImageArray = npt.NDArray[np.uint8]

Fit = Literal["crop", "pad"]
Filter = Literal["lanczos", "bicubic", "bilinear", "box", "nearest"]
FILTERS: dict[str, Image.Resampling] = {name: Image.Resampling[name.upper()] for name in get_args(Filter)}

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""What counts as an image file, lower case."""
UNCOMPRESSED = (".bmp",)
"""Of these, files of one size may hold any picture of that size."""
MAX_PIXELS = 89_478_485
"""Pixels of the largest image that is decoded (Pillow's own limit): a file of a few kilobytes can claim more."""
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by its orientation in EXIF; of the _TURNED ones, width and height are swapped."""
HEADER_BYTES = 33
"""Bytes of a file that :func:`read_header` needs of a square PNG."""
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # _bounded says it in our own words


@dataclass(frozen=True)
class Header:
    """Size of an image as :func:`decode_image` will return it, read without decoding."""

    height: int
    width: int
    channels: int

    @property
    def words(self) -> str:
        """ "64 x 48 pixels, colour" (width first, as programs show it)."""
        return f"{self.width} x {self.height} pixels, {'grey' if self.channels == 1 else 'colour'}"


def read_header(data: bytes | memoryview, name: str) -> Header:
    """Size and channels from the file's first bytes.

    Args:
        data: the file, or as much as `header_suffices` asks for.
        name: the file's name, for the message.

    Raises:
        UserError: not an image that we read, or more than MAX_PIXELS; names the file.
    """
    if header := _png_header(data):
        if header.height != header.width and _orientation(data) in _TURNED:
            header = Header(header.width, header.height, header.channels)
        return _bounded(header, name)
    with _readable(name, data), _open(data) as image:
        width, height = image.size
        if _orientation(data, image) in _TURNED:
            width, height = height, width
        return _bounded(Header(height, width, 1 if image.mode in _GREY else 3), name)


def header_suffices(start: bytes | memoryview) -> bool:
    """Whether a file's first HEADER_BYTES are all that :func:`read_header` needs: of a PNG that keeps its size when it
    is turned."""
    header = _png_header(start)
    return header is not None and header.height == header.width


def decode_image(data: bytes | memoryview, name: str) -> ImageArray:
    """An image file's bytes -> uint8 H x W x C, C = 1 or 3 (see the table above).

    Raises:
        UserError: not an image, cut off, or more than MAX_PIXELS; names the file.
    """
    if header := _png_header(data):
        _bounded(header, name)
        if b"IEND" not in bytes(data[-64:]) and b"IEND" not in bytes(data):
            raise UserError(f"{name}: damaged or cut off (no end found); copy it again or remove it")
        if keeps_as_png(data) and (quick := _quick_png(data)) is not None:
            return quick
    with _readable(name, data), _open(data) as image:
        _bounded(Header(image.size[1], image.size[0], 3), name)
        image.load()
        if (turn := _TURNS.get(_orientation(data, image))) is not None:
            image = image.transpose(turn)
        image_HWC = from_pillow(image)
    return image_HWC[..., :1] if header and header.channels == 1 else image_HWC  # Pillow makes 16-bit LA colour


def keeps_as_png(data: bytes | memoryview) -> bool:
    """Whether a file is a PNG of 8 bits a channel, grey or RGB, opaque, upright: what :func:`encode_png` writes."""
    start = bytes(data[:HEADER_BYTES])
    plain = _png_header(start) is not None and start[24] == 8 and start[25] in (0, 2)
    return plain and not _png_chunk(data, b"tRNS") and _orientation(data) not in _TURNS


def load_image(path: str | Path, channels: int | None = None) -> ImageArray:
    """Reads an image file -> uint8 H x W x C, C = 1 or 3, or as many as `channels` says.

    Raises:
        UserError: no such file, not an image, or cut off; names the file.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the name") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; name one image in it") from None
    except PermissionError:
        raise UserError(f"{path}: may not be read; check its permissions") from None
    image = decode_image(data, str(path))
    return image if channels is None else to_channels(image, channels)


def encode_png(image_HWC: ImageArray) -> bytes:
    """uint8 H x W x C (C = 1 or 3) -> the bytes of a PNG; the same image gives the same bytes."""
    buffer = io.BytesIO()
    _to_pillow(image_HWC).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def save_png(path: str | Path, image_HWC: ImageArray) -> None:
    """Writes a PNG, whole or not at all. Parents are created.

    Raises:
        OSError: what writing raised.
    """
    with atomic_path(Path(path)) as temporary:
        _to_pillow(image_HWC).save(temporary, format="PNG", compress_level=6)


def to_uint8(img_BCHW: torch.Tensor) -> ImageArray:
    """Float images in about [-1, 1], B x C x H x W -> uint8 ndarray B x H x W x C. The inverse of to_float."""
    import torch

    scaled = (img_BCHW.detach().float() * 127.5 + 127.5).round().clamp(0, 255)
    return np.ascontiguousarray(scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())


def to_float(img_BCHW: torch.Tensor) -> torch.Tensor:
    """uint8 images B x C x H x W -> float32 in [-1, 1], on the same device."""
    import torch

    return img_BCHW.to(torch.float32) / 127.5 - 1.0


def to_tensor(image_NHWC: ImageArray) -> torch.Tensor:
    """uint8 ndarray N x H x W x C -> float32 tensor N x C x H x W in [-1, 1]."""
    import torch

    # A copy: what Pillow decodes is read-only, and torch warns of such arrays.
    return to_float(torch.from_numpy(np.array(image_NHWC)).permute(0, 3, 1, 2).contiguous())


def to_channels(image_HWC: ImageArray, channels: int) -> ImageArray:
    """The image with 1 channel (ITU-R 601 grey) or 3 (grey repeated)."""
    if image_HWC.shape[-1] == channels:
        return image_HWC
    if channels == 3:
        return np.repeat(image_HWC, 3, axis=-1)
    return np.asarray(_to_pillow(image_HWC).convert("L"))[..., None]


def square(image_HWC: ImageArray, fit: Fit = "crop", crop: int | None = None) -> ImageArray:
    """A square from an image of any shape, channels kept.

    Args:
        image_HWC: uint8.
        fit: `crop` takes the largest square in the centre; `pad` puts the image into the centre of a white one.
        crop: first cut out the centre square of so many pixels (of an image with fewer, as much as there is).
    """
    height, width, channels = image_HWC.shape
    if crop is not None:
        image_HWC = _centre(image_HWC, min(crop, height), min(crop, width))
        height, width = image_HWC.shape[:2]
    if height == width:
        return image_HWC
    if fit == "crop":
        return _centre(image_HWC, min(height, width), min(height, width))
    side = max(height, width)
    padded = np.full((side, side, channels), 255, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    padded[top : top + height, left : left + width] = image_HWC
    return padded


def _centre(image_HWC: ImageArray, height: int, width: int) -> ImageArray:
    top, left = (image_HWC.shape[0] - height) // 2, (image_HWC.shape[1] - width) // 2
    return image_HWC[top : top + height, left : left + width]


def resize(image_HWC: ImageArray, resolution: int, filter: Filter = "lanczos") -> ImageArray:
    """The centre square, resized to resolution x resolution. Channels are kept."""
    image = square(image_HWC)
    if image.shape[0] == resolution:
        return np.ascontiguousarray(image)
    small = np.asarray(_to_pillow(image).resize((resolution, resolution), FILTERS[filter]))
    return small if small.ndim == 3 else small[..., None]


def tile(
    images_NHWC: ImageArray | Sequence[ImageArray], columns: int, gap: int = 0, background: int = 255
) -> ImageArray:
    """Images of one size side by side, row by row, `columns` in a row -> uint8 H x W x C.

    Args:
        images_NHWC: N x H x W x C, or a sequence of N images.
        columns: images in a row; the last row may hold fewer.
        gap: pixels between images.
        background: grey level of gaps and of places without an image.
    """
    images = np.asarray(images_NHWC, dtype=np.uint8)
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), background, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def untile(sheet_HWC: ImageArray, side: int, background: int = 255) -> ImageArray:
    """The images that :func:`tile` laid side by side without gaps -> N x side x side x C, but for blanks at its end."""
    rows, columns = sheet_HWC.shape[0] // side, sheet_HWC.shape[1] // side
    cut = sheet_HWC[: rows * side, : columns * side].reshape(rows, side, columns, side, -1).swapaxes(1, 2)
    images: ImageArray = cut.reshape(rows * columns, side, side, -1)
    filled = np.flatnonzero((images != background).any(axis=(1, 2, 3)))
    return images[: filled[-1] + 1] if len(filled) else images[:0]


# -- Pillow ------------------------------------------------------------------------------------------------


@contextmanager
def _readable(name: str, data: bytes | memoryview) -> Iterator[None]:
    """Turns whatever Pillow raises on a bad file into one line that names the file."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError(f"{name}: more than {MAX_PIXELS:,} pixels; make it smaller") from None
    except Exception as error:
        if isinstance(error, UnidentifiedImageError) and not bytes(data[:8]).startswith(_SIGNATURES):
            raise UserError(f"{name}: not a PNG, JPEG, WebP or BMP image; convert or remove it") from None
        reason = "no picture found" if isinstance(error, UnidentifiedImageError) else str(error)[:100]
        raise UserError(f"{name}: damaged or cut off ({reason}); copy it again or remove it") from None


def _quick_png(data: bytes | memoryview) -> ImageArray | None:
    """A plain PNG read by imagecodecs (extra `formats`), faster than Pillow; None where Pillow should try."""
    if (codecs := _imagecodecs()) is None:
        return None
    try:
        image: ImageArray = codecs.png_decode(bytes(data))
    except Exception:
        return None
    return image[..., None] if image.ndim == 2 else image


@lru_cache(maxsize=1)
def _imagecodecs() -> Any:
    try:
        import imagecodecs
    except ImportError:
        return None
    return imagecodecs if imagecodecs.PNG.available else None


def _png_header(data: bytes | memoryview) -> Header | None:
    """From a PNG's first bytes; None where it is none, or a strange one."""
    start = bytes(data[:HEADER_BYTES])
    if start[:8] != _SIGNATURES[0] or start[12:16] != b"IHDR" or len(start) < HEADER_BYTES:
        return None
    width, height, _, colour = struct.unpack(">IIBB", start[16:26])
    channels = _PNG_CHANNELS.get(colour)
    return Header(height, width, channels) if channels and width and height else None


def _open(data: bytes | memoryview) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=_FORMATS)


def _bounded(header: Header, name: str) -> Header:
    if header.width * header.height > MAX_PIXELS:
        raise UserError(f"{name}: {header.width} x {header.height} is more than {MAX_PIXELS:,} pixels; make it smaller")
    return header


def _orientation(data: bytes | memoryview, image: Image.Image | None = None) -> int:
    """The EXIF tag of that name; 1 is upright. `image` is the opened file, not needed of a PNG."""
    try:
        if image is not None and image.format in ("JPEG", "MPO", "WEBP"):
            exif = image.getexif()
        elif chunk := _png_chunk(data, b"eXIf"):
            exif = Image.Exif()
            exif.load(chunk)
        else:
            return 1
        value = exif.get(_ORIENTATION, 1)
    except Exception:  # whatever Pillow raises on damaged EXIF: the picture itself may be whole
        return 1
    return value if isinstance(value, int) else 1


def _png_chunk(data: bytes | memoryview, wanted: bytes) -> bytes:
    """A chunk of a PNG, or nothing. (Pillow would decode the picture before it says what follows it.)"""
    at = len(_SIGNATURES[0])
    if bytes(data[:at]) != _SIGNATURES[0]:
        return b""
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == wanted:
            return bytes(data[at + 8 : at + 8 + length])
        at += length + 12
    return b""


def from_pillow(image: Image.Image) -> ImageArray:
    """An image of any mode -> uint8 H x W x C: grey or colour, what is transparent on white."""
    if image.mode.startswith("I") or image.mode == "F":
        wide = np.asarray(image.convert("I") if image.mode != "F" else image, dtype=np.float64)
        return np.rint(np.clip(wide, 0, 65535) / 257).astype(np.uint8)[..., None]
    grey = image.mode in _GREY
    if image.has_transparency_data:
        whole = image.convert("RGBA")
        white = Image.new("RGBA", whole.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, whole).convert("RGB")
    array = np.asarray(image.convert("L" if grey else "RGB"))
    return array[..., None] if grey else array


def _to_pillow(image_HWC: ImageArray) -> Image.Image:
    image = np.ascontiguousarray(image_HWC)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[-1] in (1, 3), (image.dtype, image.shape)
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
