"""Encoding and decoding of pictures (PNG, JPEG) with one to four channels."""

import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

# Pillow's modes with 8 bits per channel, and those that can be converted to one without loss
PLAIN = ("L", "LA", "RGB", "RGBA")
CONVERTED = {"1": "L", "P": "RGB", "PA": "RGBA"}


def decode(data: bytes) -> np.ndarray:
    """Decode a picture to (H, W, C) uint8 with all its channels.

    C is 1 for gray, 2 for gray and alpha, 3 for colors, and 4 for colors and alpha.

    Raises:
        ValueError: The data is not a picture, or its values do not fit into 8 bits.
    """
    if data is None:
        raise ValueError("A row holds no picture (null): expected the bytes of a PNG or JPEG file.")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            mode = picture.mode
            deep = (
                picture.format == "PNG" and data[24] == 16
            )  # bits per channel, half of which Pillow would drop silently
            if not deep and mode in (*PLAIN, *CONVERTED):
                wanted = "RGBA" if mode == "P" and "transparency" in picture.info else CONVERTED.get(mode, mode)
                pixels = np.asarray(picture if mode == wanted else picture.convert(wanted))
                return pixels if pixels.ndim == 3 else pixels[..., None]
    except (OSError, TypeError, SyntaxError) as error:
        raise ValueError(f"A picture cannot be decoded ({error}): expected the bytes of a PNG or JPEG file.") from None
    raise ValueError(f"A picture has the mode {mode}{' with 16 bits' if deep else ''}: expected 8 bits, gray or color.")


def encode_png(frame: np.ndarray) -> bytes:
    """Encode a picture, (H, W, C) uint8 with one to four channels, as PNG bytes without loss.

    Raises:
        ValueError: The shape or type is wrong.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or not 1 <= frame.shape[-1] <= 4:
        raise ValueError(
            f"A picture is {frame.dtype} {frame.shape}: PNG needs uint8 (height, width, channels) with 1 to 4 channels."
        )
    buffer = io.BytesIO()
    Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame).save(buffer, format="PNG")
    return buffer.getvalue()


def decode_all(data: Sequence[bytes], pool: ThreadPoolExecutor | None = None) -> np.ndarray:
    """Decode pictures of one size to (B, H, W, C) uint8.

    Args:
        data: Encoded pictures.
        pool: Threads to use; None decodes in this one.

    Raises:
        ValueError: A picture cannot be decoded, or pictures differ in size or channels.
    """
    decoded: Iterable[np.ndarray] = map(decode, data) if pool is None else pool.map(decode, data)
    pictures = list(decoded)
    for number, picture in enumerate(pictures):
        if picture.shape != pictures[0].shape:
            raise ValueError(
                f"Picture {number} is {picture.shape}, the first {pictures[0].shape}: expected one size and number of "
                "channels."
            )
    return np.stack(pictures)
