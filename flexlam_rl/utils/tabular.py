"""CSV files, written the same way by all reports."""

import csv
import io
from collections.abc import Sequence
from typing import Any


def csv_bytes(rows: Sequence[dict[str, Any]]) -> bytes:
    """Encode rows as CSV with a header: one column per key that occurs in any row, in order of first occurrence."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
