"""`python -m training baseline`"""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from training.choices import Kind
from training.commands.failures import exit_on_errors
from training.commands.options import (
    ActionOption,
    CropOption,
    DataOption,
    KindOption,
    PadOption,
    PresetOption,
    ResizeOption,
    StoreOption,
    clip_spec,
)


def baseline(
    data: DataOption,
    method: Annotated[
        Literal["c3d-svr", "c3d-lstm", "pose-dct"],
        typer.Option(help="Which method of the paper's Table 2."),
    ],
    kind: KindOption = Kind.annotations,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="For C3D: NAME[@VERSION]; each fragment by its own extractor."),
    ] = None,
    extractor: Annotated[
        Path | None,
        typer.Option(
            help="Instead: extractor.safetensors, one for all fragments, and what it was made for:"
        ),
    ] = None,
    action: ActionOption = "diving",
    preset: PresetOption = "compact",
    resize: ResizeOption = None,
    crop: CropOption = None,
    pad: PadOption = None,
    poses: Annotated[
        Path | None, typer.Option(help="For poses: folder of COCO-17 JSON; else the tracks.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of folds, weights and order.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
    store: StoreOption = None,
) -> None:
    """Train a simple method on the training split and measure it on the test split.

    c3d-svr: mean C3D features of a clip, linear SVR. c3d-lstm: the fragments' features in order,
    LSTM. pose-dct: low frequencies of the joints' paths, linear SVR. They serve comparison only.

    Example: python -m training baseline --method c3d-svr --checkpoint diving --data data/diving
    --json runs/diving-c3d-svr.json
    """
    with exit_on_errors():
        from model_store.card import ClipsCard, group_hash
        from model_store.store import Store
        from training.commands.evaluate import print_figures
        from training.data.datasets.annotations import of_split
        from training.data.datasets.hashes import clip_hashes
        from training.data.judged_clips import open_clips
        from training.data.seen_clips import seen_among
        from training.display import bar
        from training.errors import RunError
        from training.learn.extractor_file import extractor_clips, spec_for
        from training.learn.run_spec import PRESETS, preset_clip
        from training.paper.baselines.fragments import Extraction
        from training.paper.baselines.methods import figures, predict

        extraction, known = None, ClipsCard.of()
        clip = clip_spec(preset_clip(preset, action), resize, crop, pad, None)
        if checkpoint is not None and extractor is not None:
            raise RunError("give either --checkpoint NAME or --extractor FILE")
        if checkpoint is not None:
            loaded = Store(store).load(checkpoint)
            clip, known = loaded.spec, loaded.card.clips
            extraction = Extraction.of_network(loaded.network)
        elif extractor is not None:
            known = extractor_clips(extractor)
            extraction = Extraction.of_file(
                extractor, PRESETS[preset]["network"], spec_for(extractor, clip)
            )
        clips = open_clips(kind, data, clip)
        train, test = of_split(clips, "train", data[0]), of_split(clips, "test", data[0])
        groups = [group_hash(each.group) for each in train if each.group is not None]
        known = known.trained_on(clip_hashes(train), groups=groups)
        seen = seen_among(method, known, test)
        seen.warn()
        with bar("steps") as shown:
            predicted = predict(
                method, train, test, extraction=extraction, poses=poses, seed=seed, bar=shown
            )
        measured = {
            "method": method,
            "data": list(map(str, data)),
            "kind": kind.value,
            "action": clip.action,
            "features": checkpoint or (None if extractor is None else str(extractor)),
            "seed": seed,
            "seen": seen.counts,
            **figures(train, test, predicted),
        }
        print_figures(method, measured)
        if json_file is not None:
            json_file.write_text(json.dumps(measured, indent=2) + "\n")
