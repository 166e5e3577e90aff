"""Muon in float32: what it makes of a gradient, and that it is torch's but for rounding."""

import pytest
import torch

from flexlam_rl.nn.param_groups import HiddenLayer
from flexlam_rl.train import optim
from flexlam_rl.train.loop_options import loop_config
from flexlam_rl.train.muon import Float32Muon, orthogonal
from flexlam_rl.train.options import StageOptions
from flexlam_rl.train.trainer import LoopConfig

NEWTON_SCHULZ = ((3.4445, -4.7750, 2.0315), 5, 1e-7)


@pytest.mark.parametrize("shape", [(24, 60), (60, 24)])
def test_updates_are_nearly_orthogonal_and_keep_the_gradients_directions(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape) * 1e-3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    made = u.t() @ orthogonal(matrix, *NEWTON_SCHULZ) @ v.t()
    values = made.diagonal()
    assert ((values > 0.6) & (values < 1.3)).all()
    assert (made - values.diag()).abs().max() < 1e-4


@pytest.mark.parametrize("shape", [(16, 40), (40, 16)])
def test_steps_are_those_of_torchs_muon_to_bfloat16s_rounding(shape):
    torch.manual_seed(0)
    start, target = torch.randn(shape), torch.randn(shape)
    ends = []
    for kind in (Float32Muon, torch.optim.Muon):
        weight = torch.nn.Parameter(start.clone())
        optimiser = kind([weight], lr=0.05, weight_decay=0.1, adjust_lr_fn="original")
        for _ in range(10):
            (weight - target).square().sum().backward()
            optimiser.step()
            optimiser.zero_grad()
        ends.append(weight.detach() - start)
    assert (ends[0] - ends[1]).norm() < 0.02 * ends[1].norm()


def test_a_cpu_without_matrix_units_gets_it_and_others_torchs(monkeypatch):
    for units, kind in ((False, Float32Muon), (True, torch.optim.Muon)):
        monkeypatch.setattr(optim, "has_matrix_units", lambda units=units: units)
        layer = HiddenLayer()
        layer.up = torch.nn.Linear(4, 4)
        assert type(optim.build([layer], "muon", 1e-3, 1e-2, 0.01)[-1]) is kind


@pytest.mark.parametrize(("amx", "avx512", "both"), [(True, False, True), (False, True, True), (False, False, False)])
def test_products_of_bfloat16_need_no_matrix_units(monkeypatch, tmp_path, amx, avx512, both):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    options = StageOptions(tmp_path, tmp_path)
    assert loop_config(LoopConfig(precision="bf16"), options, tmp_path).precision == ("bf16" if both else "fp32")
    assert loop_config(LoopConfig(precision="fp32"), options, tmp_path).precision == "fp32"


def test_groups_are_the_models_own_and_others_come_from_the_modules():
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            # by their names, both would have been tokens without weight decay
            self.tokenizer = torch.nn.Linear(4, 4)
            self.blocks = torch.nn.Conv2d(3, 3, 1)

    class Chosen(Own):
        def param_groups(self):
            return [{"params": [self.tokenizer.weight], "kind": "matrix", "decay": True}]

    decay = {
        (group["weight_decay"], len(group["params"]))
        for group in optim.build([Own()], "muon", 1, 1, 0.5)[0].param_groups
    }
    assert decay == {(0.5, 2), (0.0, 2)}
    model = Chosen()
    *_, muon = optim.build([model, torch.nn.LayerNorm(2)], "muon", 1, 1, 0.5)
    assert [parameter is model.tokenizer.weight for parameter in muon.param_groups[0]["params"]] == [True]
