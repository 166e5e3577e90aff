"""`flexlam study consistency`: its jobs and their measurements."""

from functools import cache
from typing import Any

from flexlam_rl.eval.studies.consistency.options import REPEAT, Job, Options, parse_protocol
from flexlam_rl.eval.studies.study import Study, StudyDefinition


def plan(options: Options) -> Study[Job]:
    """Make the study.

    Raises:
        ValueError: A model cannot be stepped or told what happens, or clips and models do not fit.
        CheckpointError: A model or the bundle cannot be read.
    """
    from flexlam_rl.datasets import open_rollouts
    from flexlam_rl.envs.domain import find_domain
    from flexlam_rl.envs.spec import EnvSpec
    from flexlam_rl.eval.studies.consistency.measuring import measure
    from flexlam_rl.eval.studies.consistency.report import report
    from flexlam_rl.eval.video.distances import clip_vectors
    from flexlam_rl.eval.video.extractors import make_extractor
    from flexlam_rl.eval.video.posed_clips import record_clips, stored_clips

    arms, facts = load_arms(options)
    shape = next((arm.model.frame_shape for arm in arms.values() if arm.model is not None), (3, 64, 64))
    for arm in arms.values():
        if arm.model is not None and arm.model.frame_shape != shape:
            raise ValueError(f"The models have frames of shapes {shape} and {arm.model.frame_shape}; expected one.")
    extractor = make_extractor(options.extractor).to(options.device)
    domain = find_domain("dmlab")
    spec = domain.resolve(facts or EnvSpec(engine="litelab", height=shape[1], width=shape[2]))
    longest = max(sum(parse_protocol(protocol)) for protocol in options.protocols)
    if options.data is None:
        domain.task(options.level)
        if spec.engine != "litelab":
            raise ValueError(f"The bundle was trained on {spec.engine}; poses need litelab: give data instead.")
        actions: int | None = (len(domain.actions(spec).discrete) == 1 and domain.actions(spec).discrete[0]) or None
    else:
        rollouts = open_rollouts(options.data, split="test")
        actions = len(rollouts.stores[0].origin.action_table) or None
    for arm in arms.values():
        arm.check(actions)

    @cache
    def clips() -> Any:
        if options.data is not None:
            return stored_clips(rollouts, options.clips, longest)
        return record_clips(options.level, spec, options.clips, longest, options.player, options.seed)

    @cache
    def true_vectors(protocol: str) -> Any:
        context, horizon = parse_protocol(protocol)
        return clip_vectors(extractor, clips().frames[:, context : context + horizon])

    jobs = [
        Job(name, run, budget, protocol)
        for protocol in options.protocols
        for (name, run), arm in arms.items()
        for budget in arm.budgets(options.budgets)
    ]
    study = Study(
        title="consistency",
        jobs=jobs,
        measure=lambda job: measure(
            job, options, arms[job.model, job.run], clips(), extractor, true_vectors(job.protocol)
        ),
        report=lambda: report(study, options),
        out=options.out,
        config=options,
        steps=lambda job: parse_protocol(job.protocol)[1] * options.clips,
        needed=lambda job: False,
    )
    return study


def load_arms(options: Options) -> tuple[dict[tuple[str, int], Any], Any]:
    """Load the models to compare, by name and number of the training, and the record of the latent action model's
    environment, if it has one.
    """
    from flexlam_rl.agents.imagined.world import load_world_model
    from flexlam_rl.eval.studies.consistency.predicting import Arm
    from flexlam_rl.models.interfaces import SteppedWorldModel
    from flexlam_rl.models.pixel_model import PixelModel
    from flexlam_rl.models.slot_model import SlotModel

    coder, _, facts = load_world_model(options.bundle, None, options.device)
    if not isinstance(coder, SlotModel):
        raise ValueError(f"bundle is a {type(coder).__name__}; expected a bundle or a latent action model.")
    arms: dict[tuple[str, int], Arm] = {(REPEAT, 0): Arm()}
    given: list[tuple[str, Any]] = [("flexlam", coder)] if options.flexlam else []
    given += [(name, folder) for name, _, folder in (model.partition("=") for model in options.models)]
    for name, found in given:
        model, _, _ = load_world_model(found, None, options.device)
        if not isinstance(model, SteppedWorldModel):
            raise ValueError(f"{name} is a {type(model).__name__}, which cannot be stepped frame by frame.")
        if options.decode_steps is not None and isinstance(model, PixelModel):
            model.decode_steps = options.decode_steps
        run = sum(other == name for other, _ in arms)
        arms[name, run] = Arm(model, model if isinstance(model, PixelModel) else coder)
    return arms, facts


STUDY = StudyDefinition(
    Options, plan, "do predictions hold together over hundreds of frames, and where the camera comes back"
)
