"""Measure milliseconds per decision, and compare with the same weights in Hugging Face transformers in the same run.

It follows the paper's protocol (appendix B.6): a full 34-frame context, 20 warm-up steps, and 100 timed ones that
include preprocessing, encoding the newest transition, context, generation, null filling and translation. transformers
runs the same LAM, embeddings, head and translator around its Qwen3 with a dynamic cache. Its cache cannot drop the
newest frame's patches from the middle of a context, so it crops back to the history after every decision. Both must
choose the same codes while the contexts are equal. Other priors of the same width, depth and context are also measured:
the factored one, and the continuous one with its flow and its mixture.

Usage: python benchmarks/decode_latency.py [--json FILE] [--preset paper] [--device cpu] [--steps 100]
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from flexlam_rl.models.flexlam.config import PRESETS, TranslatorConfig
from flexlam_rl.models.flexlam.continuous.config import SIZES as CONTINUOUS
from flexlam_rl.models.flexlam.continuous.decode import ContinuousDecoder
from flexlam_rl.models.flexlam.continuous.model import ContinuousPrior
from flexlam_rl.models.flexlam.decode import Decoder
from flexlam_rl.models.flexlam.factored.config import SIZES
from flexlam_rl.models.flexlam.factored.decode import FactoredDecoder
from flexlam_rl.models.flexlam.factored.model import FactoredPrior
from flexlam_rl.models.flexlam.lam import LAM
from flexlam_rl.models.flexlam.priors import PriorDecoder
from flexlam_rl.models.flexlam.sequence import SequenceModel
from flexlam_rl.models.flexlam.translator import Translator
from flexlam_rl.nn.action_head import choose_actions

WARM_UP = 20
FIGURES = (
    "ours_ms", "factored_ms", "continuous_ms", "mixture_ms", "transformers_ms", "decisions_per_s",
    "factored_decisions_per_s",
)  # fmt: skip


class Policy:
    """What both sides share: models, and a step around a function that generates the codes."""

    def __init__(self, preset: str, device: str) -> None:
        torch.manual_seed(0)
        sizes = PRESETS[preset]
        self.config = sizes.sequence
        self.lam = LAM(sizes.lam).to(device).eval()
        self.sequence = SequenceModel(sizes.sequence).to(device).eval()
        sequence = sizes.sequence
        shared = {
            name: getattr(sequence, name) for name in ("slots", "codes", "frames", "width", "depth", "ffn", "heads")
        }
        self.factored = FactoredPrior(replace(SIZES[preset], **shared)).to(device).eval()
        own = replace(CONTINUOUS[preset], dim=self.lam.latent.dim, **shared)
        self.continuous = ContinuousPrior(own).to(device).eval()
        self.mixture = ContinuousPrior(replace(own, head="mixture")).to(device).eval()
        self.translator = (
            Translator(TranslatorConfig(slots=sizes.lam.slots, code_dim=len(sizes.lam.levels))).to(device).eval()
        )
        self.device = device

    def frames(self, rows: int, count: int) -> list[Tensor]:
        """Make random frames in the form of an environment's: uint8 (B, H, W, C) on the CPU."""
        generator = torch.Generator().manual_seed(1)
        size = self.config.image_size
        return [
            torch.randint(0, 256, (rows, size, size, 3), dtype=torch.uint8, generator=generator) for _ in range(count)
        ]

    def decide(
        self, last: Tensor | None, frame: Tensor, generate: Callable[[Tensor, Tensor | None], Tensor], budget: int
    ) -> Tensor:
        """Make a decision, from a frame (B, H, W, C) to actions (B, 1)."""
        now = frame.to(self.device).movedim(-1, -3)
        codes = None if last is None else self.lam.encode(last.to(self.device).movedim(-1, -3), now)
        lengths = torch.full((len(frame),), budget, device=self.device)
        slots = self.lam.keep_prefix_unchecked(generate(now, codes), lengths)
        previous = torch.zeros(len(frame), 1, dtype=torch.long, device=self.device)
        return choose_actions(self.translator(slots, previous), self.translator.config.actions).cpu()


def ours(policy: Policy, rows: int, budget: int) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Make a function that generates codes with this project's decoder."""
    return _decoded(Decoder(policy.sequence), rows, budget)


def factored(policy: Policy, rows: int, budget: int) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Make a function that generates codes with the factored prior."""
    return _decoded(FactoredDecoder(policy.factored), rows, budget)


def continuous(policy: Policy, rows: int, budget: int) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Make a function that generates with the continuous prior and its flow."""
    return _decoded(ContinuousDecoder(policy.continuous), rows, budget)


def mixture(policy: Policy, rows: int, budget: int) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Make a function that generates with the continuous prior and its mixture."""
    return _decoded(ContinuousDecoder(policy.mixture), rows, budget)


def _decoded(decoder: PriorDecoder, rows: int, budget: int) -> Callable[[Tensor, Tensor | None], Tensor]:
    state = decoder.initial_state(rows)

    def generate(now: Tensor, codes: Tensor | None) -> Tensor:
        return decoder.generate(state, decoder.observe(state, now, codes), budget).codes

    return generate


def theirs(policy: Policy, rows: int, budget: int) -> Callable[[Tensor, Tensor | None], Tensor]:
    """Make a function that generates codes with transformers' Qwen3 and its cache (`StaticCache` is slower here,
    because it attends over its whole length).
    """
    from transformers import DynamicCache, Qwen3Config, Qwen3Model

    c = policy.config
    config = Qwen3Config(
        vocab_size=8,
        hidden_size=c.width,
        intermediate_size=c.ffn,
        num_hidden_layers=c.depth,
        num_attention_heads=c.heads,
        num_key_value_heads=c.heads,
        head_dim=c.width // c.heads,
        rms_norm_eps=c.norm_eps,
        rope_theta=c.rope_theta,
        rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
        attention_bias=False,
        max_position_embeddings=1 << 20,
        attn_implementation="sdpa",
    )
    model = Qwen3Model(config).to(policy.device).eval()
    model.load_state_dict(policy.sequence.transformer.state_dict(), strict=False)
    sequence = policy.sequence
    cache = DynamicCache(config=config)
    step = 0

    def forward(x: Tensor) -> Tensor:
        return model(inputs_embeds=x, past_key_values=cache, use_cache=True).last_hidden_state[:, -1]

    def generate(now: Tensor, codes: Tensor | None) -> Tensor:
        nonlocal step
        x = sequence.embed_frames(now)
        if codes is not None:
            x = torch.cat([sequence.embed_codes(codes), x], dim=1)
        on_stride = step % c.stride == 0
        # after the 34th frame, the cache is cropped back to its old length, as if the window slid at no cost
        before = cache.get_seq_length()
        history = before + x.shape[1] - (0 if on_stride else c.patches) if step < c.frames else before
        hidden = forward(x)
        out = [sequence.head(hidden).argmax(-1)]
        for i in range(budget - 1):
            hidden = forward(sequence.embed_codes(out[-1][:, None], i))
            out.append(sequence.head(hidden).argmax(-1))
        cache.crop(history - cache.get_seq_length())
        step += 1
        return torch.stack(out, 1)

    return generate


@torch.inference_mode()
def measure(
    policy: Policy,
    make: Callable[..., Callable[[Tensor, Tensor | None], Tensor]],
    rows: int,
    budget: int,
    steps: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, Tensor]:
    """Measure the mean milliseconds per decision with a full context; also give the codes of the first 34 decisions."""
    total = policy.config.frames + WARM_UP + steps
    frames = policy.frames(rows, total)
    generate = make(policy, rows, budget)
    recorded: list[Tensor] = []

    def keep(now: Tensor, codes: Tensor | None) -> Tensor:
        out = generate(now, codes)
        if len(recorded) < policy.config.frames:
            recorded.append(out)
        return out

    times = []
    for t, frame in enumerate(frames):
        start = clock()
        policy.decide(frames[t - 1] if t else None, frame, keep, budget)
        if policy.device != "cpu":
            torch.cuda.synchronize()
        times.append(clock() - start)
    return 1000 * mean(times[-steps:]), torch.stack(recorded)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--preset", default="paper", choices=list(PRESETS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument(
        "--batch", type=int, default=64, help="batch size of the rates in the right columns; 0 leaves them out"
    )
    parser.add_argument("--budgets", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument(
        "--processor-time", action="store_true",
        help="measure this process's processor time, which other jobs distort less, instead of wall-clock time",
    )  # fmt: skip
    args = parser.parse_args()
    clock = time.process_time if args.processor_time else time.perf_counter
    policy = Policy(args.preset, args.device)
    m = policy.config.slots
    budgets = sorted({min(k, m) for k in args.budgets})
    result: dict[str, object] = {
        "device": platform.processor() or args.device,
        "clock": "processor time" if args.processor_time else "time that passes",
    }
    print(f"preset {args.preset}, {args.device}, torch {torch.__version__}, {torch.get_num_threads()} threads, batch 1")
    print(
        f"{'K':>4} {'ours ms':>9} {'factored ms':>12} {'continuous ms':>14} {'mixture ms':>11} {'transformers ms':>16} "
        f"{'ratio':>6} {'of factored':>12} "
        f"{'same codes':>11} {f'decisions/s at batch {args.batch}':>26} {'factored':>9}"
    )
    for k in budgets:
        mine, codes = measure(policy, ours, 1, k, args.steps, clock)
        apart, _ = measure(policy, factored, 1, k, args.steps, clock)
        flow, mixed = (measure(policy, make, 1, k, args.steps, clock)[0] for make in (continuous, mixture))
        other, expected = measure(policy, theirs, 1, k, args.steps, clock)
        # in the first 34 decisions, both see the same context
        same = float((codes == expected).float().mean())
        few = max(3, args.steps // 20)
        makers = (ours, factored) if args.batch else ()
        rates = [1000 * args.batch / measure(policy, make, args.batch, k, few, clock)[0] for make in makers]
        for name, value in zip(FIGURES, (mine, apart, flow, mixed, other, *rates), strict=False):
            result.setdefault(name, {})[k] = value  # type: ignore[attr-defined]
        shown = " ".join(f"{rate:>{width}.1f}" for rate, width in zip(rates, (26, 9), strict=False))
        print(
            f"{k:>4} {mine:>9.1f} {apart:>12.1f} {flow:>14.1f} {mixed:>11.1f} {other:>16.1f} {other / mine:>6.2f} "
            f"{other / apart:>12.2f} {same:>11.3f} {shown}",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
