"""`python -m training pretrain`"""

from functools import partial
from typing import Any

import typer

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
from training.data.datasets.kinds import Kind
from training.errors import RunError
from training.learn.run_spec import PRESETS, preset_clip
from training.pretraining.pretrain_spec import PretrainSpec


@options_of(PretrainSpec)
def pretrain(
    data: DataOption,
    out: OutOption,
    kind: KindOption = Kind.annotations,
    action: ActionOption = "diving",
    preset: PresetOption = "compact",
    resize: ResizeOption = None,
    crop: CropOption = None,
    pad: PadOption = None,
    cache: CacheOption = None,
    restart: RestartOption = False,
    save_every: SaveEvery = 60.0,
    **options: Any,
) -> None:
    """Teach one extractor what a fragment of a clip shows, before any score.

    Of simulated clips that is joints and body state, stages and deductions; of UCF-101
    (--kind ucf-101) which action it is, from the official training list. The extractor is saved as
    OUT/extractor.safetensors, for `train --extractor`.

    Examples: python -m training pretrain --data data/diving --out runs/diving-extractor

    python -m training pretrain --kind ucf-101 --preset paper --data data/ucf-101
    --out runs/ucf-101
    """
    with exit_on_errors():
        from training.data.clip_dataset import open_dataset
        from training.data.clip_list import check_clip_list
        from training.display import bar
        from training.learn.forward import Device
        from training.learn.malloc import keep_freed_memory
        from training.learn.run_folder import RunFolder
        from training.learn.summary import record_command
        from training.pretraining.action_classification import ActionClassification, class_clip
        from training.pretraining.pretext_tasks import PretextTask, TrackRegression
        from training.pretraining.pretrain import Pretrainer

        if kind == Kind.ucf101 and len(data) > 1:
            raise RunError(f"{len(data)} folders of ucf-101, need one")
        keep_freed_memory()
        clip = clip_spec(preset_clip(preset, action), resize, crop, pad, None)
        spec = PretrainSpec(
            data=tuple(map(str, data)),
            kind=kind.value,
            clip=class_clip(clip) if kind == Kind.ucf101 else clip,
            network=PRESETS[preset]["network"],
            **options,
        )
        folder = RunFolder(out)
        if restart:
            folder.restart()
        folder.open(spec.to_json())
        with bar("clips") as shown:

            def progress(done: int, total: int) -> None:
                shown.update(done, total, phase="decoding")

            if kind == Kind.ucf101:
                task: PretextTask = ActionClassification.open(
                    data[0],
                    spec.clip,
                    validation=spec.validation,
                    on_clips=partial(check_clip_list, out, begun=folder.begun),
                    cache=cache,
                    progress=progress,
                )
            else:
                dataset = open_dataset(
                    spec.data,
                    spec.clip,
                    kind=spec.kind,
                    validation=spec.validation,
                    on_clips=partial(check_clip_list, out, begun=folder.begun),
                    cache=cache,
                    progress=progress,
                )
                task = TrackRegression(dataset, spec.seed, Device.best().kind)
        record_command(folder)
        with bar("steps") as shown:
            path = Pretrainer(spec, task, folder, save_every=save_every).train(shown)
        typer.echo(f"extractor: {path}")
