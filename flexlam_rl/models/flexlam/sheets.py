"""Sample sheets: pictures of a model's predictions for held-out transitions."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from flexlam_rl.models.flexlam.budgets import budgets
from flexlam_rl.models.pixel_model import PixelModel
from flexlam_rl.utils.pictures import GAP, shown, write_png

_SCALE, _TOP = 2, 14


def grid(columns: dict[str, Tensor], path: Path) -> None:
    """Write columns of uint8 frames (B, C, H, W), each below its title, as one PNG."""
    first = next(iter(columns.values()))
    rows, channels, height, width = first.shape
    width = width if channels in (1, 3) else 2 * width + GAP  # a fourth channel is shown beside the others
    cell_h, cell_w = height * _SCALE + 2, width * _SCALE + 2
    sheet = Image.new("RGB", (cell_w * len(columns), cell_h * rows + _TOP), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (title, frames) in enumerate(columns.items()):
        draw.text((i * cell_w + 3, 1), title, fill="black")
        for j, frame in enumerate(frames.cpu().permute(0, 2, 3, 1).numpy()):
            tile = Image.fromarray(np.ascontiguousarray(shown(frame))).resize(
                (width * _SCALE, height * _SCALE), Image.Resampling.NEAREST
            )
            sheet.paste(tile, (i * cell_w, j * cell_h + _TOP))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, np.asarray(sheet))


def prefix_sheet(model: PixelModel, obs: Tensor, next_obs: Tensor, path: Path, seed: int = 0) -> None:
    """Draw frame, true next frame and decodings at growing K from the same noise, for uint8 frames (B, C, H, W)."""
    codes = model.encode(obs, next_obs)
    sweep = budgets(model.config.slots) if model.config.prefix else [model.config.slots]
    columns = {"frame": obs, "next": next_obs}
    for k in sweep:
        generator = torch.Generator(obs.device).manual_seed(seed)
        columns[f"K = {k}"] = model.decode(obs, codes, k, 8, generator)
    grid(columns, path)
