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
    OutOption,
    PadOption,
    Preset,
    ResizeOption,
    SaveEvery,
    StartOption,
    Teach,
    clip_spec,
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
    batch: Annotated[int | None, typer.Option(min=2, help="Clips a batch.")] = None,
    extractor_rate: Annotated[float | None, typer.Option(help="Adam, for extractors.")] = None,
    rate: Annotated[float | None, typer.Option(help="Adam, for the head.")] = None,
    teach: Annotated[
        Teach,
        typer.Option(
            help="judged: the scores. known: what the fragments shown tell of the score without"
            " the judges' noise; simulated clips know it."
        ),
    ] = Teach.judged,
    alpha: Annotated[
        str | None, typer.Option(help="Weight of the ranking loss: a number, or balance.")
    ] = None,
    beta: Annotated[float | None, typer.Option(help="Weight of ‖w‖².")] = None,
    auxiliary: Annotated[
        float | None, typer.Option(help="Weight of throw-away heads that learn from tracks.")
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
    max_gradient: Annotated[float | None, typer.Option(help="Norm to clip gradients to.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Share dropped in the head.")] = None,
    width: Annotated[
        float | None, typer.Option(help="Factor on the channels of C3D; of a base it is given.")
    ] = None,
    validation: Annotated[
        float | None, typer.Option(help="Share of the training split, to choose weights by.")
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

    Example: python -m training train --data data/diving --out runs/diving --extractor
    runs/diving-extractor/extractor.safetensors --head-epochs 30 --epochs 10
    """
    with told():
        from model_store.store import Store
        from training.display import bar
        from training.errors import RunError
        from training.extractor_file import spec_for
        from training.material import open_material
        from training.memory import keep_freed_memory
        from training.run_folder import RunFolder
        from training.runspec import PRESETS, RunSpec, preset_clip
        from training.summary import remember, remember_command, summarise
        from training.trainer import Trainer

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
            "blanking": blanking,
            "shift": shift,
            "frozen_norm": frozen_norm,
            "max_gradient": max_gradient,
            "validation": validation,
        }
        options |= {name: value for name, value in given.items() if value is not None}
        if augment is False:
            options |= {"flip": 0.0, "colour": 0.0, "zoom": 0.0}
        elif augment:
            options |= {k: PRESETS["compact"][k] for k in ("flip", "colour", "zoom")}
        if alpha is not None:
            try:
                options["alpha"] = alpha if alpha == "balance" else float(alpha)
            except ValueError as error:
                raise RunError(f"alpha is {alpha!r}, need a number or balance") from error
        if width is not None and base is not None:
            raise RunError("a base has its own width, leave --width out")
        shape = {"dropout": dropout, "width": width}
        options["network"] = dataclasses.replace(
            options["network"], **{k: v for k, v in shape.items() if v is not None}
        )
        run = RunSpec(
            data=tuple(map(str, data)),
            kind=kind.value,
            clip=spec_for(extractor, clip_spec(clips, resize, crop, pad, start)),
            extractor=None if extractor is None else str(extractor),
            base=None if based is None else f"{based.name}@{based.version}",
            teach=teach.value,
            seed=seed,
            **options,
        )
        folder = RunFolder(out)
        folder.open(run.to_json())
        with bar("clips") as shown:
            material = open_material(
                run.data,
                run.clip,
                kind=run.kind,
                target=run.network.target,
                validation=run.validation,
                seed=seed,
                cache=cache,
                progress=lambda done, total: shown.update(done, total, phase="decoding"),
            )
        remember_command(folder)
        remember(folder, summarise(material, run.data, folder))
        with bar("steps") as shown:
            trainer = Trainer(run, material, folder, base=based, save_every=save_every)
            best = trainer.train(shown)
        typer.echo(
            f"best validation: Spearman {best['spearman']:.4f}, mean distance"
            f" {best['mean_distance']:.3f} points"
        )
