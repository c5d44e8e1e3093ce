"""`python -m training train`"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from model_store.network_spec import Target
from model_store.spec import ClipSpec
from training.choices import Kind, LossTerms, Preset
from training.commands.failures import exit_on_errors
from training.commands.field_options import options_of
from training.commands.options import (
    ActionOption,
    CacheOption,
    CropOption,
    DataOption,
    KindOption,
    OutOption,
    PadOption,
    PresetOption,
    ResizeOption,
    RestartOption,
    SaveEvery,
    StartOption,
    clip_spec,
    fragments_used,
    given,
    looks,
    loss_terms,
)
from training.errors import RunError
from training.learn.run_spec import PRESETS, SET_BY_PRESETS, RunSpec, preset_clip
from training.option_groups import LOOKS, LOSS, NETWORK, START

FROM_BASE: dict[str, Any] = {"readout": True, "epochs": 0}  # more only where it is asked for


@options_of(RunSpec, preset=SET_BY_PRESETS)
def train(
    data: DataOption,
    out: OutOption,
    kind: KindOption = Kind.annotations,
    action: ActionOption = "diving",
    preset: PresetOption = "compact",
    extractor: Annotated[
        Path | None, START(help="extractor.safetensors of `pretrain`, for all fragments.")
    ] = None,
    base: Annotated[
        str | None, START(help="Checkpoint to go on from: fine-tune it on your clips.")
    ] = None,
    store: Annotated[
        Path | None, START(envvar="SCORING_STORE", help="Its store; else the shipped one.")
    ] = None,
    rehearse: Annotated[
        list[Path] | None,
        START(
            help="Data set folder of clips that the base can score and is not to forget, as"
            " simulated ones; may be given again."
        ),
    ] = None,
    fragments: Annotated[
        str | None,
        NETWORK(help="all, last, or indices from 0, as 3 or 0,3; the others stay blank."),
    ] = None,
    target: Annotated[
        Target | None,
        NETWORK(
            help="What it predicts: the final score; the execution, which needs the difficulty when"
            " a clip is scored; or both, which is the default where every clip has a difficulty."
        ),
    ] = None,
    dropout: Annotated[float | None, NETWORK(help="Share dropped in the head.")] = None,
    width: Annotated[
        float | None, NETWORK(help="Factor on the channels of C3D; of a base it is given.")
    ] = None,
    views: Annotated[
        int | None,
        NETWORK(
            help="Looks at each clip whose answers are averaged: fragments that begin later, every"
            " second one mirrored. More are more accurate, and each costs the time of one."
        ),
    ] = None,
    loss: Annotated[
        LossTerms | None, LOSS(help="Regression, ranking, or both; else as the preset.")
    ] = None,
    augment: Annotated[
        bool | None, LOOKS("--augment/--no-augment", help="Flip, colour, zoom: usual values, or 0.")
    ] = None,
    resize: ResizeOption = None,
    crop: CropOption = None,
    pad: PadOption = None,
    start: StartOption = None,
    cache: CacheOption = None,
    restart: RestartOption = False,
    save_every: SaveEvery = 60.0,
    logger: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="Also give the figures to a logger of yours, beside TensorBoard: see"
            " training/learn/loggers.py; may be given again.",
        ),
    ] = None,
    **options: Any,
) -> None:
    """Train a network on judged clips.

    Only the training split is opened; a part of it, by each clip's group or bytes, measures the
    result. A run that was killed goes on with the same command, and ends as if it had not been;
    with other clips or scores it is refused.

    With --base the run begins with a checkpoint's weights and takes its clips and network. It is
    brought to the scale of your scores, and a line is fitted to its features; training goes on
    from there if --head-epochs or --epochs are given.

    With --folds every clip is predicted by a run that has not seen it, and the run on all clips
    gets its intervals from that: no further clips are needed to calibrate. Where stages are known
    it is measured what their contributions are worth to the judges.

    On several GPUs or machines start it by torchrun: `torchrun --nproc-per-node 4 -m training
    train …`. All processes must see the data, the cache and OUT.

    Examples: python -m training train --data data/our-dives --out runs/ours --base diving --folds 5

    python -m training train --data data/diving --out runs/diving --extractor
    runs/diving-extractor/extractor.safetensors --head-epochs 30 --epochs 10
    """
    with exit_on_errors():
        from model_store.store import Store
        from training.distributed import joined
        from training.learn.extractor_file import spec_for
        from training.learn.loggers import logger_named
        from training.learn.malloc import keep_freed_memory
        from training.learn.run_folder import RunFolder
        from training.learn.training_run import TrainingRun, describe
        from training.release.held_out import in_words, measure_stages

        keep_freed_memory()
        loggers = [logger_named(name) for name in logger or ()]
        clips, network, based = preset_clip(preset, action), PRESETS[preset]["network"], None
        if base is not None:
            if width is not None:
                raise RunError("a base has its own width, leave --width out")
            based = Store(store).load(base)
            clips, network = based.spec, based.card.network
        clip = spec_for(extractor, clip_spec(clips, resize, crop, pad, start))
        because = None
        if target is None:
            target, because = chosen_target(kind, data, clip, preset)
        shape = given({"dropout": dropout, "width": width, "target": target, "views": views})
        if fragments is not None:
            shape["fragments_used"] = fragments_used(fragments, clip)
        begun = {} if based is None or options["new_head"] else FROM_BASE
        chosen = PRESETS[preset] | begun | looks(augment) | given(options)
        chosen |= loss_terms(PRESETS[preset]["alpha"], loss, options["alpha"])
        if chosen["readout"]:
            shape["readout"] = True
        if based is None or options["new_head"]:
            shape["other_kind"] = chosen["apart"]
        chosen["network"] = dataclasses.replace(network, **shape)
        with joined() as processes:
            if because is not None and processes.leads:
                typer.echo(f"target {target}: {because}")
            run = RunSpec(
                data=tuple(map(str, data)),
                rehearse=tuple(map(str, rehearse or ())),
                kind=kind.value,
                clip=clip,
                extractor=None if extractor is None else str(extractor),
                base=None if based is None else based.reference,
                processes=processes.count,
                **chosen,
            )
            training = TrainingRun(run, out, based, cache, save_every, processes, restart, loggers)
            figures = training.train()
            if processes.leads:
                stages = measure_stages(RunFolder(out), run, cache)
                for line in (describe(figures), *in_words(stages)):
                    typer.echo(line)


def chosen_target(
    kind: Kind, folders: Sequence[Path], clip: ClipSpec, preset: Preset
) -> tuple[Target, str]:
    """What a network predicts where nothing is asked for, and why.   Raises DataError."""
    from training.data.announced import default_target
    from training.data.datasets.kinds import read_clips

    if preset != "compact":
        return "final", f"it is what the paper predicts, whose network --preset {preset} is"
    judged = [
        one for folder in folders for one in read_clips(kind, folder, "train", action=clip.action)
    ]
    return default_target(judged, clip.difficulty_rule)
