"""`python -m training baseline`"""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, Literal

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
    PadOption,
    PresetOption,
    ResizeOption,
    StoreOption,
    clip_spec,
)
from training.paper.baselines.conv_isa_spec import ConvIsaSpec


@options_of(ConvIsaSpec)
def baseline(
    data: DataOption,
    method: Annotated[
        Literal["c3d-svr", "c3d-lstm", "c3d-pool5-svr", "c3d-pool5-lstm", "conv-isa", "pose-dct"],
        typer.Option(help="Which method of the paper's Table 2."),
    ],
    kind: KindOption = Kind.annotations,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="For pool5: NAME[@VERSION]; each fragment by its own extractor."),
    ] = None,
    extractor: Annotated[
        Path | None,
        typer.Option(
            help="extractor.safetensors, one for all fragments, and what it was made for:"
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
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Cross-validate on the training split, in the folds of `train --folds`; no test"
            " split is opened.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of weights, order, and what parameters are chosen by.")
    ] = 0,
    cache: CacheOption = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
    store: StoreOption = None,
    **sizes: Any,
) -> None:
    """Train a simple method on the training split and measure it on the test split.

    c3d-svr: the mean of published C3D's fc6 over a clip, linear SVR. c3d-lstm: fc6 of every 16
    frames in order, LSTM. Both need the --extractor of `import-c3d`. c3d-pool5-svr and
    c3d-pool5-lstm: the same on the last convolution's features, of any extractor or --checkpoint.
    pose-dct: low frequencies of the joints' paths, linear SVR. conv-isa: how often each kind of
    small motion is seen, linear SVR; the kinds are learned from the training clips' pixels. They
    serve comparison only.

    With --folds every clip of the training split is predicted by a fit that has not seen it. The
    folds are those of `train --folds` on the same clips, with a --base of the same --checkpoint:
    clips that trained it are never held out.

    Examples: python -m training baseline --method c3d-pool5-svr --checkpoint diving --data
    data/diving --json runs/diving-c3d-pool5-svr.json

    python -m training baseline --method pose-dct --poses data/our-dives/poses --data data/our-dives
    --folds 5 --json runs/our-dives-pose-dct.json
    """
    with exit_on_errors():
        from model_store.store import Store
        from training.commands.evaluate import print_figures
        from training.data.clip_dataset import CACHE
        from training.data.datasets.annotations import of_split
        from training.data.judged_clips import open_clips
        from training.data.split import Origin
        from training.display import bar
        from training.errors import RunError
        from training.learn.extractor_file import extractor_clips, spec_for
        from training.learn.run_spec import PRESETS, preset_clip
        from training.paper.baselines.fragments import Extraction
        from training.paper.baselines.measured import Measurement
        from training.paper.baselines.methods import BY_FC6, Sources

        extraction, origin, conv_isa = None, None, ConvIsaSpec(**sizes)
        clip = clip_spec(preset_clip(preset, action), resize, crop, pad, None)
        if checkpoint is not None and extractor is not None:
            raise RunError("give either --checkpoint NAME or --extractor FILE")
        if checkpoint is not None and method in BY_FC6:
            raise RunError(
                f"{method} describes clips by fc6 of published weights, which no checkpoint has:"
                f" give --extractor FILE of import-c3d, or take c3d-pool5-{method[4:]}"
            )
        if checkpoint is not None:
            loaded = Store(store).load(checkpoint)
            clip, card = loaded.spec, loaded.card
            origin = Origin(loaded.reference, card.clips, card.data.trained_on)
            extraction = Extraction.of_network(loaded.network)
        elif extractor is not None:
            origin = Origin(str(extractor), extractor_clips(extractor))
            clip = spec_for(extractor, clip)
            read = Extraction.by_fc6 if method in BY_FC6 else Extraction.of_file
            extraction = read(extractor, PRESETS[preset]["network"], clip)
        clips = open_clips(kind, data, clip, None if folds is None else "train")
        train = of_split(clips, "train", data[0])
        with bar("steps") as shown:
            measurement = Measurement(
                method=method,
                sources=Sources(
                    spec=clip,
                    extraction=extraction,
                    poses=poses,
                    conv_isa=conv_isa,
                    cache=cache or data[0] / CACHE,
                ),
                origin=origin,
                seed=seed,
                bar=shown,
            )
            if folds is None:
                figures = measurement.on_test_split(train, of_split(clips, "test", data[0]))
            else:
                figures = measurement.by_folds(train, folds)
        measured = {
            "method": method,
            "data": list(map(str, data)),
            "kind": kind.value,
            "action": clip.action,
            "features": checkpoint or (None if extractor is None else str(extractor)),
            "seed": seed,
            **({"sizes": dataclasses.asdict(conv_isa)} if method == "conv-isa" else {}),
            **figures,
        }
        print_figures(method if folds is None else f"{method} in {folds} folds", measured)
        if json_file is not None:
            json_file.write_text(json.dumps(measured, indent=2) + "\n")
