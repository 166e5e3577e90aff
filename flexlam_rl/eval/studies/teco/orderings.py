"""Orderings that TECO's paper reports or FlexLAM predicts, named before any run, and tested over training seeds on the
predictions that `flexlam study consistency` has measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flexlam_rl.eval.studies.over_seeds import Claim
from flexlam_rl.utils.files import read_json

PSNR, LOOP = "PSNR", "PSNR of returning views less that of new ones"
FALL = "fall of the PSNR from the first to the last quarter"
DISTANCE = "perceptual distance"


def orderings(windows: Sequence[int], sides: Sequence[int], budgets: Sequence[int]) -> list[Claim]:
    """List the orderings of a study with these training windows (the longest first), tokens per side and budgets."""
    teco = f"window{windows[0]}"
    found = [
        Claim(f"a window of {a} frames predicts better than one of {b}", PSNR, f"window{a}", f"window{b}", 1)
        for i, a in enumerate(windows)
        for b in windows[i + 1 :]
    ]
    if len(windows) > 1:
        title = f"with {windows[0]} frames the quality falls less than with {windows[-1]}"
        found.append(Claim(title, FALL, teco, f"window{windows[-1]}", -1))
    for side in (side for side in sides if side != 1):
        found += [
            Claim(f"one token per frame predicts better than {side}x{side}", PSNR, teco, f"side{side}", 1),
            Claim(f"one token per frame remembers better than {side}x{side}", LOOP, teco, f"side{side}", 1),
            Claim(f"{side}x{side} tokens per frame are sharper than one", DISTANCE, f"side{side}", teco, -1),
        ]
    found += [
        Claim(f"K = {b} predicts better than K = {a}", PSNR, f"k{b}", f"k{a}", 1)
        for a, b in zip((0, *budgets), budgets, strict=False)
    ]
    found += [
        Claim(f"TECO predicts better than {name} without latent dynamics", PSNR, teco, arm, 1)
        for arm, name in (("maskgit", "MaskGIT"), ("ar", "an autoregressive prior"))
    ]
    return found


def figures(row: Mapping[str, Any]) -> dict[str, Any]:
    """Compute what the orderings compare from a row of `flexlam study consistency`."""
    curve, distances = row["curves"]["psnr"]["mean"], [n for n in row["mean"] if n.startswith("perceptual")]
    quarter = max(1, len(curve) // 4)
    found = {"arm": row["model"], "seed": row["run"], PSNR: row["mean"]["psnr"]}
    found[FALL] = float(np.mean(curve[:quarter]) - np.mean(curve[-quarter:]))
    if distances:
        found[DISTANCE] = row["mean"][distances[0]]
    if "difference" in row.get("loop", {}).get("psnr", {}):
        found[LOOP] = row["loop"]["psnr"]["difference"]
    return found


def verdicts(claims: Iterable[Claim], out: Path) -> list[str]:
    """Write each ordering for each protocol of the studies of consistency in `out`, none of which need be there."""
    claims, lines = list(claims), []
    for path in sorted(out.glob("consistency*/results.json")):
        rows = read_json(path)
        for protocol in dict.fromkeys(row["protocol"] for row in rows):
            # models that are told actions may also have been measured without them, as those of budget 0
            told = [row for row in rows if row["protocol"] == protocol and row["budget"] is None]
            own = [figures(row) for row in told]
            found = [f"{line} ({claim.figure})" for claim in claims for line in claim.lines(own)]
            lines += [f"\n{protocol}:\n", *found] if found else []
    return lines
