"""`python -m training calibrate`"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from training.choices import Kind
from training.commands.failures import exit_on_errors
from training.commands.options import Engine, KindOption, StoreOption


def calibrate(
    checkpoint: Annotated[str, typer.Option(help="NAME, or NAME@VERSION.")],
    data: Annotated[
        list[Path],
        typer.Option(help="Folder of judged clips that it never saw; may be given again."),
    ],
    kind: KindOption = Kind.annotations,
    split: Annotated[
        Literal["train", "test"] | None,
        typer.Option(help="Only these clips of it; else both splits."),
    ] = None,
    familiar: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of the clips it was trained on: what it knows. May repeat."),
    ] = None,
    coverage: Annotated[float, typer.Option(help="Share of scores inside the interval.")] = 0.9,
    seed: Annotated[int, typer.Option(min=0, help="Of the split of the clips.")] = 0,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Even on clips that it was trained on.")
    ] = False,
    engine: Annotated[Engine, typer.Option(help="What runs the network.")] = Engine.auto,
    store: StoreOption = None,
) -> None:
    """Fit a checkpoint's intervals and its familiarity limit, and publish both as its next version.

    Nothing is trained again: judge some clips of your own, and their scores show how far off
    the network is on clips like yours.

    Example: python -m training calibrate --checkpoint diving --data data/our-meet
    """
    with exit_on_errors():
        from model_store.scorer import Scorer
        from model_store.store import Store
        from training.data.datasets.leaks import check_apart
        from training.data.judged_clips import open_clips
        from training.data.seen_clips import seen_by
        from training.display import bar, warn
        from training.errors import RunError
        from training.release.calibrate import fit_calibration, publish_calibrated

        if not 0.5 <= coverage < 1:
            raise RunError(f"coverage is {coverage}, need 0.5 to below 1")
        original = Store(store).load(checkpoint)
        clips = open_clips(kind, data, original.spec, split)
        known = open_clips(kind, familiar or [], original.spec, "train")
        check_apart(known, clips, "familiar ones, and there to calibrate on")
        seen = seen_by(original, clips)
        for note in seen.notes if allow_seen else seen.not_quite_new:
            warn(note)
        with bar("clips") as shown:
            confidence = fit_calibration(
                Scorer(original, engine.value),
                clips,
                known,
                seed=seed,
                coverage=coverage,
                allow_seen=allow_seen,
                progress=shown.progress("scoring"),
            )
        published = publish_calibrated(Store(store), original, confidence, clips)
        typer.echo(f"published {published.reference}: {published.path}")
