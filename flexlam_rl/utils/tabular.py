"""Rows as CSV, the same in every report."""

import csv
import io
from collections.abc import Sequence
from typing import Any


def csv_bytes(rows: Sequence[dict[str, Any]]) -> bytes:
    """`rows` as CSV with a header; a column for every key that some row has, in the order in which they first occur."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
