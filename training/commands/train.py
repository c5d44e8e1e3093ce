"""`python -m training train`"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from training.commands.failures import told
from training.commands.options import (
    Action,
    CacheOption,
    CropOption,
    DataOption,
    KindOption,
    LossTerms,
    OutOption,
    PadOption,
    Precision,
    Preset,
    ResizeOption,
    SaveEvery,
    StartOption,
    Teach,
    clip_spec,
    fragments_used,
    loss_terms,
)
from training.datasets.kinds import Kind


def train(
    data: DataOption,
    out: OutOption,
    kind: KindOption = Kind.annotations,
    action: Annotated[Action, typer.Option(help="Whose clips these are.")] = Action.diving,
    preset: Annotated[
        Preset, typer.Option(help="Network and options; what follows replaces single options.")
    ] = Preset.compact,
    extractor: Annotated[
        Path | None, typer.Option(help="extractor.safetensors of `pretrain`, for all fragments.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Checkpoint to go on from: fine-tune it on your clips."),
    ] = None,
    new_head: Annotated[
        bool,
        typer.Option(
            "--new-head", help="Of the base take the extractors, for all --fragments or some."
        ),
    ] = False,
    store: Annotated[
        Path | None, typer.Option(envvar="SCORING_STORE", help="Its store; else the shipped one.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=0, help="Epochs of the whole network.")] = None,
    head_epochs: Annotated[
        int | None, typer.Option(min=0, help="Epochs of the head alone, before: seconds each.")
    ] = None,
    head_variants: Annotated[
        int | None, typer.Option(min=1, help="Versions of a clip that the head alone sees.")
    ] = None,
    head_rate: Annotated[float | None, typer.Option(help="Its learning rate there.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=2, help="Clips a micro-batch, in each process.")
    ] = None,
    accumulate: Annotated[
        int,
        typer.Option(
            min=1,
            help="Micro-batches a step. The ranking loss uses the pairs of each micro-batch, over"
            " all processes, and not those between micro-batches.",
        ),
    ] = 1,
    precision: Annotated[
        Precision, typer.Option(help="Of the extractors; auto is bfloat16 where that is quick.")
    ] = Precision.auto,
    checkpointing: Annotated[
        bool,
        typer.Option(
            "--checkpointing", help="Less memory: activations are computed again backwards."
        ),
    ] = False,
    extractor_rate: Annotated[float | None, typer.Option(help="Adam, for extractors.")] = None,
    rate: Annotated[float | None, typer.Option(help="Adam, for the head.")] = None,
    teach: Annotated[
        Teach,
        typer.Option(
            help="judged: the scores. known: what the fragments shown tell of the score without"
            " the judges' noise; simulated clips know it."
        ),
    ] = Teach.judged,
    fragments: Annotated[
        str | None,
        typer.Option(help="all, last, or indices from 0, as 3 or 0,3; the others stay blank."),
    ] = None,
    loss: Annotated[
        LossTerms | None, typer.Option(help="Regression, ranking, or both; else as the preset.")
    ] = None,
    alpha: Annotated[
        str | None, typer.Option(help="Weight of the ranking loss: a number, or balance.")
    ] = None,
    beta: Annotated[float | None, typer.Option(help="Weight of ‖w‖².")] = None,
    auxiliary: Annotated[
        float | None, typer.Option(help="Weight of throw-away heads that learn from tracks.")
    ] = None,
    pairs: Annotated[
        float | None,
        typer.Option(
            help="Weight of the loss on differences within counterfactual pairs, as"
            " `simulate --pairs` makes them."
        ),
    ] = None,
    blanking: Annotated[
        float | None, typer.Option(help="Probability that fragments of a clip are blanked.")
    ] = None,
    augment: Annotated[
        bool | None, typer.Option("--augment/--no-augment", help="Flip, colour, zoom.")
    ] = None,
    shift: Annotated[
        bool | None, typer.Option("--shift/--no-shift", help="Random start of the fragments.")
    ] = None,
    frozen_norm: Annotated[
        bool | None, typer.Option("--frozen-norm/--batch-norm", help="In the whole network.")
    ] = None,
    frozen_layers: Annotated[
        int | None,
        typer.Option(
            min=0, max=8, help="First layers of each extractor that are left as they are."
        ),
    ] = None,
    max_gradient: Annotated[float | None, typer.Option(help="Norm to clip gradients to.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Share dropped in the head.")] = None,
    width: Annotated[
        float | None, typer.Option(help="Factor on the channels of C3D; of a base it is given.")
    ] = None,
    validation: Annotated[
        float | None, typer.Option(help="Share of the training split, to choose weights by.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(min=2, help="Cross-validate instead: so many runs, OUT/fold-0 and on."),
    ] = None,
    fold: Annotated[
        int | None, typer.Option(min=0, help="Of --folds this one only, in OUT itself.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order, draws and split.")] = 0,
    resize: ResizeOption = None,
    crop: CropOption = None,
    pad: PadOption = None,
    start: StartOption = None,
    cache: CacheOption = None,
    save_every: SaveEvery = 60.0,
) -> None:
    """Train a network on judged clips.

    Only the training split is opened; a part of it, by seed, chooses the best weights. A run
    that was killed goes on with the same command, and ends as if it had not been.

    With --base the run begins with a checkpoint's weights and takes its clips and network; of
    the preset remain the rates and the like.

    On several GPUs or machines start it by torchrun: `torchrun --nproc-per-node 4 -m training
    train …`. All processes must see the data, the cache and OUT.

    Example: python -m training train --data data/diving --out runs/diving --extractor
    runs/diving-extractor/extractor.safetensors --head-epochs 30 --epochs 10
    """
    with told():
        from model_store.store import Store
        from training.distributed import joined
        from training.errors import RunError
        from training.extractor_file import spec_for
        from training.memory import keep_freed_memory
        from training.runspec import PRESETS, RunSpec, preset_clip
        from training.session import Session
        from training.session import told as summary

        keep_freed_memory()
        options: dict[str, Any] = dict(PRESETS[preset.value])
        clips, based = preset_clip(preset.value, action.value), None
        if base is not None:
            based = Store(store).load(base)
            clips, options["network"] = based.spec, based.card.network
        given = {
            "epochs": epochs,
            "head_epochs": head_epochs,
            "head_variants": head_variants,
            "head_rate": head_rate,
            "batch": batch,
            "extractor_rate": extractor_rate,
            "rate": rate,
            "beta": beta,
            "auxiliary": auxiliary,
            "pairs": pairs,
            "blanking": blanking,
            "shift": shift,
            "frozen_layers": frozen_layers,
            "frozen_norm": frozen_norm,
            "max_gradient": max_gradient,
            "validation": validation,
        }
        options |= {name: value for name, value in given.items() if value is not None}
        if augment is False:
            options |= {"flip": 0.0, "colour": 0.0, "zoom": 0.0}
        elif augment:
            options |= {k: PRESETS["compact"][k] for k in ("flip", "colour", "zoom")}
        options |= loss_terms(options["alpha"], loss, alpha)
        if width is not None and base is not None:
            raise RunError("a base has its own width, leave --width out")
        shape = {"dropout": dropout, "width": width}
        options["network"] = dataclasses.replace(
            options["network"], **{k: v for k, v in shape.items() if v is not None}
        )
        clip = spec_for(extractor, clip_spec(clips, resize, crop, pad, start))
        if fragments is not None:
            options["network"] = dataclasses.replace(
                options["network"], fragments_used=fragments_used(fragments, clip)
            )
        with joined() as processes:
            run = RunSpec(
                data=tuple(map(str, data)),
                kind=kind.value,
                clip=clip,
                extractor=None if extractor is None else str(extractor),
                base=None if based is None else f"{based.name}@{based.version}",
                new_head=new_head,
                teach=teach.value,
                seed=seed,
                folds=folds,
                fold=0 if folds is not None and fold is None else fold,
                accumulate=accumulate,
                processes=processes.count,
                precision=precision.value,
                checkpointing=checkpointing,
                **options,
            )
            session = Session(based, cache, save_every, processes)
            if folds is None or fold is not None:
                best = [session.train(run, out)]
            else:
                each = (dataclasses.replace(run, fold=k) for k in range(folds))
                best = [session.train(part, out / f"fold-{part.fold}") for part in each]
            if processes.leads:
                typer.echo(summary(best))
