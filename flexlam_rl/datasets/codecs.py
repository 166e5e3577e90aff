"""Encoding and decoding of a stored chunk. Decoding checks the checksum and decompresses into the caller's memory.

Both compressors release the GIL while they work, so threads decode in parallel.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from flexlam_rl.utils.errors import DamagedData, StoreError

Decoder = Callable[[bytes, np.ndarray], None]
Encoder = Callable[[np.ndarray], bytes]


def crc32c(data: bytes, before: int = 0) -> int:
    """CRC-32C of bytes, continued from `before`, the checksum of the bytes that precede them."""
    import google_crc32c  # part of the extra `data`; without it, commands can still show their help

    return int(google_crc32c.extend(before, data))


def decoder(codecs: list[dict[str, Any]], where: str) -> Decoder:
    """Make a function that decodes the bytes of one chunk into a C-contiguous array of its exact size.

    Args:
        codecs: Codecs of the array, from its Zarr metadata.
        where: Name of the array in errors.

    Raises:
        StoreError: The array was not written with this project's codecs (TensorStore and zarr can read it).
    """
    from numcodecs import blosc, zstd

    compression, checked = _known(codecs, where)
    unpack = {"zstd": zstd.decompress, "blosc": blosc.decompress}[compression["name"]] if compression else None

    def decode(data: bytes, out: np.ndarray) -> None:
        if checked:
            body = data[:-4]
            if len(data) < 4 or crc32c(body) != int.from_bytes(data[-4:], "little"):
                raise DamagedData("its checksum does not match its bytes")
            data = body
        try:
            if unpack is not None:
                unpack(data, out)
                return
            out.reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8)
        except (RuntimeError, ValueError) as error:
            raise DamagedData(f"it cannot be decompressed ({error})") from None

    return decode


def encoder(codecs: list[dict[str, Any]], where: str) -> Encoder:
    """Make a function that encodes one chunk, a C-contiguous array, so that `decoder` can read it.

    Args:
        codecs: Codecs of the array, from its Zarr metadata.
        where: Name of the array in errors.

    Raises:
        StoreError: The array was not written with this project's codecs (TensorStore and zarr can read it).
    """
    from numcodecs import blosc, zstd

    compression, checked = _known(codecs, where)
    options = compression.get("configuration", {})

    def encode(chunk: np.ndarray) -> bytes:
        data = chunk.reshape(-1).view(np.uint8)
        if not compression:
            packed = data.tobytes()
        elif compression["name"] == "zstd":
            packed = zstd.compress(data, options["level"], options.get("checksum", False))
        else:
            shuffle = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}[options["shuffle"]]
            packed = blosc.compress(data, options["cname"].encode(), options["clevel"], shuffle, options["blocksize"])
        return packed + crc32c(packed).to_bytes(4, "little") if checked else packed

    return encode


def _known(codecs: list[dict[str, Any]], where: str) -> tuple[dict[str, Any], bool]:
    """Find the compressor ({} for none), and whether a checksum follows."""
    names = [codec["name"] for codec in codecs]
    checked = names[-1:] == ["crc32c"]
    if checked:
        names.pop()
    if names[:1] != ["bytes"] or len(names) > 2 or (len(names) == 2 and names[1] not in ("zstd", "blosc")):
        raise StoreError(
            f"{where} was written with the codecs {', '.join(names)}: expected bytes, then zstd, blosc or nothing, "
            "then crc32c."
        )
    return (codecs[1] if len(names) == 2 else {}), checked
