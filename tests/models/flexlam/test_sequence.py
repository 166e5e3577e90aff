"""The sequence model: equal to Qwen3, causal in every kind of position, trained in the contexts that decoding meets."""

import pytest
import torch

from flexlam_rl.models.flexlam.config import PRESETS
from flexlam_rl.models.flexlam.dropping import Dropped
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.layout import layout
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.stages.sequence import SequenceStage, encode_windows
from flexlam_rl.nn.prefix import sample_prefix_lengths
from flexlam_rl.nn.rotary import rotary
from flexlam_rl.train.source import ArraySource

CONFIG = PRESETS["debug"].sequence


def test_transformer_equals_qwen3_with_the_same_weights(model):
    transformers = pytest.importorskip("transformers")
    ours = model(depth=3)
    config = transformers.Qwen3Config(
        vocab_size=8,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        rms_norm_eps=CONFIG.norm_eps,
        rope_theta=CONFIG.rope_theta,
        rope_parameters={"rope_type": "default", "rope_theta": CONFIG.rope_theta},
        attention_bias=False,
        tie_word_embeddings=False,
        max_position_embeddings=4096,
        use_cache=False,
        attn_implementation="eager",
    )
    theirs = transformers.Qwen3Model(config).double().eval()
    missing, unexpected = theirs.load_state_dict(ours.transformer.state_dict(), strict=False)
    assert missing == ["embed_tokens.weight"] and unexpected == []
    x = torch.randn(2, 40, 32, dtype=torch.float64)
    positions = torch.arange(40)
    cos, sin = rotary(positions, 16, CONFIG.rope_theta)
    mask = torch.ones(40, 40, dtype=torch.bool).tril()
    with torch.no_grad():
        expected = theirs(inputs_embeds=x, position_ids=positions[None].expand(2, -1)).last_hidden_state
        got = ours.transformer(x, cos, sin, mask)
    # Qwen3 forms its norms and angles in float32
    assert torch.allclose(got, expected, atol=1e-4), (got - expected).abs().max()


def uncached_context(frames: int, t: int):
    """The tokens that the paper's construction (appendix B.1) puts before block t: (kind, frame, place) in order."""
    tokens = []
    for f in range(t):
        if f % CONFIG.stride == 0:
            tokens += [("patch", f, n) for n in range(CONFIG.patches)]
        tokens += [("code", f, m) for m in range(CONFIG.slots)]
    return tokens + [("patch", t, n) for n in range(CONFIG.patches)]


@pytest.mark.parametrize("t", [0, 1, 2, 3, 5])
def test_each_block_is_predicted_from_exactly_the_papers_sequence(model, window, t):
    """The one-pass training equals a plain causal model on the sequence written out token by token."""
    net = model()
    images, codes = window(6)
    context = uncached_context(6, t) + [("code", t, m) for m in range(CONFIG.slots - 1)]
    patches, blocks = net.embed_frames(images), net.embed_codes(codes)
    x = torch.stack([patches[:, f, i] if kind == "patch" else blocks[:, f, i] for kind, f, i in context], dim=1)
    cos, sin = rotary(torch.arange(len(context)), 16, CONFIG.rope_theta)
    hidden = net.transformer(x, cos, sin, torch.ones(len(context), len(context), dtype=torch.bool).tril())
    expected = net.head(hidden[:, -CONFIG.slots :])
    assert torch.allclose(net(images, codes)[:, t], expected, atol=1e-9)


@pytest.mark.parametrize("stem", ["linear", "conv"])
def test_nothing_later_changes_a_prediction(model, window, stem):
    net = model(stem=stem)
    images, codes = window(6)
    base = net(images, codes)
    for t in range(6):
        later = images.clone()
        later[:, t + 1 :] = 0
        changed = codes.clone()
        changed[:, t:] = 0
        assert torch.equal(net(later, changed)[:, t, 0], base[:, t, 0])
        for m in range(1, CONFIG.slots):
            changed = codes.clone()
            changed[:, t, m:] = 0
            changed[:, t + 1 :] = 0
            assert torch.allclose(net(later, changed)[:, t, m], base[:, t, m], atol=1e-12)
            changed[:, t, m - 1] = (codes[:, t, m - 1] + 1) % CONFIG.codes
            assert not torch.allclose(net(later, changed)[:, t, m], base[:, t, m], atol=1e-6)


def test_frames_off_the_stride_leave_the_context_and_those_on_it_stay(model, window):
    net = model()
    images, codes = window(6)
    base = net(images, codes)
    for f in range(5):
        changed = images.clone()
        changed[:, f] = 0.5
        out = net(changed, codes)
        stays = f % CONFIG.stride == 0
        for t in range(f + 1, 6):
            assert torch.allclose(out[:, t], base[:, t], atol=1e-12) != stays


def test_what_lies_before_the_window_of_frames_is_not_attended():
    frames = 5
    lay = layout(9, CONFIG.slots, CONFIG.patches, CONFIG.stride, frames)
    reach = lay.frame[:, None] - lay.frame[None, :]
    assert not (lay.mask & (reach >= frames)).any()
    assert (lay.mask & (reach == frames - 1)).any()


@pytest.mark.parametrize(("frames", "window", "phase"), [(3, 99, 0), (20, 99, 1), (29, 11, 0)])
def test_spans_attend_to_what_the_mask_says_and_leave_nothing_out(frames, window, phase):
    lay = layout(frames, CONFIG.slots, CONFIG.patches, CONFIG.stride, window, phase)
    lengths = [s.history for s in lay.spans] + [s.branches for s in lay.spans]
    parts = torch.arange(len(lay.mask)).split(lengths)
    covered = torch.zeros_like(lay.mask)
    for i, span in enumerate(lay.spans):
        branches = parts[len(lay.spans) + i]
        columns = torch.cat([*parts[span.first : i + 1], branches])
        covered[torch.cat([parts[i], branches])[:, None], columns] = span.mask
    assert torch.equal(covered, lay.mask)
    assert max(s.first for s in lay.spans) == (1 if frames > window + 8 else 0)


@pytest.mark.parametrize("phase", [0, 1])
def test_positions_are_consecutive_in_every_decisions_context(phase):
    lay = layout(7, CONFIG.slots, CONFIG.patches, CONFIG.stride, 99, phase)
    for t in range(7):
        for m in range(CONFIG.slots):
            row = lay.predicts[t, m]
            seen = lay.position[lay.mask[row]].sort().values
            assert torch.equal(seen, torch.arange(len(seen)))


@pytest.mark.parametrize("predicted", [1, 3, CONFIG.slots])
def test_the_first_codes_alone_are_predicted_as_among_whole_blocks(model, window, predicted):
    net = model()
    images, codes = window(6)
    assert torch.allclose(net(images, codes, 1, predicted), net(images, codes, 1)[:, :, :predicted], atol=1e-10)
    assert torch.allclose(net.loss(images, codes, 1, predicted), net.loss(images, codes, 1)[..., :predicted], atol=1e-6)


def test_gradient_reaches_every_parameter_and_frames_are_no_targets(model, window):
    net = model().float()
    images, codes = window(6)
    net.loss(images.float(), codes).mean().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert net.loss(images.float(), codes).shape == codes.shape


def test_a_convolutional_stem_gives_a_token_a_patch_in_the_same_order(model):
    net = model(stem="conv")
    base = net.embed_frames(torch.zeros(1, 3, 64, 64, dtype=torch.float64))
    side = 64 // CONFIG.patch
    for row, column in ((0, 0), (1, 2), (side - 1, side - 1)):
        images = torch.zeros(1, 3, 64, 64, dtype=torch.float64)
        images[0, :, row * CONFIG.patch, column * CONFIG.patch] = 1.0
        moved = (net.embed_frames(images) - base).abs().sum(-1)[0]
        assert moved.argmax() == row * side + column
        assert base.shape == net.embed_frames(images).shape == (1, CONFIG.patches, CONFIG.width)


def test_a_convolutional_stem_needs_patches_that_halving_reaches(model):
    with pytest.raises(ValueError, match="patch is 4; a convolutional stem needs a power of two from 8 on"):
        model(stem="conv", patch=4)


def test_a_step_that_the_expert_did_not_choose_is_seen_and_never_a_target():
    """Loss, gradient and held-out figures are those of the chosen transitions alone."""
    torch.manual_seed(0)
    windows = torch.randint(0, 256, (6, 5, 64, 64, 3), dtype=torch.uint8).numpy()
    chosen = torch.rand(6, 5).numpy() > 0.5
    held_out = {"frames": torch.from_numpy(windows).movedim(-1, -3), "expert_chose": torch.from_numpy(chosen)}
    source = ArraySource({"frames": windows, "expert_chose": chosen}, 4)
    stage = SequenceStage(SequenceModel(CONFIG), LAM(PRESETS["debug"].lam), source, held_out)
    batch = stage.next_batch("cpu")
    mask = batch["expert_chose"][:, :-1]
    assert 0 < mask.sum() < mask.numel()

    def loss(codes):
        return stage.loss({**batch, "codes": codes}, torch.Generator().manual_seed(1))[0]

    stage.model.loss = spy = Spy(stage.model.loss)
    value = loss(batch["codes"])
    assert torch.allclose(value, spy.last[mask].mean())
    (grads,) = torch.autograd.grad(value, spy.last)
    assert (grads[~mask] == 0).all() and (grads[mask] > 0).all()
    none = {**batch, "expert_chose": torch.zeros_like(batch["expert_chose"])}
    assert stage.loss(none, torch.Generator())[0].item() == 0.0  # and not NaN
    figures = stage.evaluate("cpu")
    stage.held_out = {**held_out, "expert_chose": torch.ones_like(held_out["expert_chose"])}
    every = stage.evaluate("cpu")
    stage.held_out = {"frames": held_out["frames"]}
    assert every == pytest.approx(stage.evaluate("cpu")) and figures["loss"] != pytest.approx(every["loss"])


class Spy:
    """Keeps what a function gave last."""

    def __init__(self, call):
        self.call = call

    def __call__(self, *args, **more):
        self.last = self.call(*args, **more)
        return self.last


def test_what_is_dropped_is_seen_by_its_own_block_alone(model, window):
    net = model()
    images, codes = window(6)
    frames, blocks = torch.zeros(2, 6, dtype=torch.bool)
    frames[2] = blocks[1] = True  # a frame on the stride, and a block
    dropped = Dropped(frames, blocks)
    base = net(images, codes, dropped=dropped)
    assert torch.equal(net(images, codes, dropped=Dropped(*torch.zeros(2, 6, dtype=torch.bool))), net(images, codes))
    for part, at in ((images, 2), (codes, 1)):
        changed = part.clone()
        changed[:, at] = 0
        given = (changed, codes) if part is images else (images, changed)
        moved = (net(*given, dropped=dropped) - base).abs().amax((0, 2, 3)) > 1e-6
        assert moved.tolist() == [t == at for t in range(6)]


def test_an_evaluation_is_the_mean_over_all_phases_and_the_trained_prefixes():
    torch.manual_seed(0)
    lam, net = LAM(PRESETS["debug"].lam), SequenceModel(CONFIG)
    held_out = torch.randint(0, 256, (4, 5, 3, 64, 64), dtype=torch.uint8)
    stage = SequenceStage(net, lam, None, {"frames": held_out}, "prefixes")
    with torch.no_grad():
        codes = encode_windows(lam, held_out)
        losses = [net.loss(held_out[p::2], codes[p::2], p).mean((0, 1)) for p in range(2)]
    assert CONFIG.stride == 2 and not torch.allclose(losses[0], net.loss(held_out[::2], codes[::2], 1).mean((0, 1)))
    loss, figures = torch.stack(losses).mean(0), stage.evaluate("cpu")
    assert figures["loss_all"] == pytest.approx(float(loss.mean()), rel=1e-5)
    lengths = sample_prefix_lengths(200_000, 4, torch.Generator().manual_seed(0), "mixed").clamp_min(1)
    means = loss.cumsum(0) / torch.arange(1, 5)  # of the first k codes
    assert figures["loss"] == pytest.approx(float(means[lengths - 1].mean()), rel=1e-4)
    assert figures["loss_first"] == pytest.approx(float(loss[0]), rel=1e-5)


def test_a_share_of_frames_and_blocks_is_dropped():
    frames, blocks = Dropped.draw(20_000, 0.1, 0.7, torch.Generator().manual_seed(0))
    assert abs(frames.float().mean() - 0.1) < 0.02 and abs(blocks.float().mean() - 0.7) < 0.02
    frames, blocks = Dropped.draw(1000, 0.0, 1.0, torch.Generator().manual_seed(0))
    assert not frames.any() and blocks.all()
    assert Dropped.draw(8, 0.0, 0.0, torch.Generator().manual_seed(0)) is None
