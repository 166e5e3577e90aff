"""Encoding and decoding of stored pictures (PNG, JPEG), several at once."""

import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image


def decode(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 of an encoded picture."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def encode_png(frame: np.ndarray) -> bytes:
    """PNG bytes, lossless, of an (H, W, 3) uint8 picture."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="PNG")
    return buffer.getvalue()


def decode_all(data: Sequence[bytes], pool: ThreadPoolExecutor | None = None) -> np.ndarray:
    """(B, H, W, 3) uint8 of encoded pictures of one size."""
    decoded: Iterable[np.ndarray] = map(decode, data) if pool is None else pool.map(decode, data)
    return np.stack(list(decoded))
