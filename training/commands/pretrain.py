"""`python -m training pretrain`"""

from pathlib import Path
from typing import Annotated, Any

import typer

from training.choices import Kind
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
    clip_spec,
)
from training.learn.run_spec import PRESETS, preset_clip
from training.option_groups import START
from training.pretraining.pretrain_spec import PretrainSpec


@options_of(PretrainSpec)
def pretrain(
    data: DataOption,
    out: OutOption,
    kind: KindOption = Kind.annotations,
    action: ActionOption = "diving",
    preset: PresetOption = "compact",
    extractor: Annotated[
        Path | None, START(help="extractor.safetensors to go on from; else random weights.")
    ] = None,
    keep: Annotated[
        list[Path] | None,
        START(
            help="Data set folder of clips of another kind, as real beside simulated ones: what"
            " the --extractor sees of them stays as it is. May be given again."
        ),
    ] = None,
    resize: ResizeOption = None,
    crop: CropOption = None,
    pad: PadOption = None,
    cache: CacheOption = None,
    restart: RestartOption = False,
    save_every: SaveEvery = 60.0,
    **options: Any,
) -> None:
    """Teach one extractor what a fragment of a clip shows, before any score.

    Of simulated clips that is joints and body state, stages, faults and deductions, and the
    routine; of UCF-101 (--kind ucf-101) which action it is, from the official training list. The
    extractor is saved as OUT/extractor.safetensors, for `train --extractor`.

    Examples: python -m training pretrain --data data/diving --out runs/diving-extractor

    python -m training pretrain --kind ucf-101 --preset paper --data data/ucf-101
    --out runs/ucf-101
    """
    with exit_on_errors():
        from training.learn.extractor_file import spec_for
        from training.pretraining.action_classification import class_clip
        from training.pretraining.pretraining_run import pretrain_extractor

        clip = clip_spec(preset_clip(preset, action), resize, crop, pad, None)
        clip = spec_for(extractor, clip)
        spec = PretrainSpec(
            data=tuple(map(str, data)),
            kind=kind.value,
            clip=class_clip(clip) if kind == Kind.ucf101 else clip,
            network=PRESETS[preset]["network"],
            extractor=None if extractor is None else str(extractor),
            keep=tuple(map(str, keep or ())),
            **options,
        )
        path = pretrain_extractor(spec, out, cache=cache, restart=restart, save_every=save_every)
        typer.echo(f"extractor: {path}")
