"""`python -m training fit-finder`"""

from pathlib import Path
from typing import Annotated

import typer

from training.choices import Kind
from training.commands.failures import exit_on_errors
from training.commands.options import KindOption


def fit_finder(
    action: Annotated[str, typer.Option(help="diving or vault.")],
    recordings: Annotated[
        Path, typer.Option(help="Folder for the simulated recordings; completed if interrupted.")
    ],
    out: Annotated[Path, typer.Option(help="File to write: ACTION.safetensors.")],
    count: Annotated[int, typer.Option(min=1, help="How many recordings to learn from.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Of the recordings.")] = 8100,
    thresholds: Annotated[
        int, typer.Option(min=1, help="How many more, of the next seed, to set its threshold by.")
    ] = 20,
    steps: Annotated[int, typer.Option(min=1, help="Each on four varied recordings.")] = 2000,
    data: Annotated[
        Path | None, typer.Option(help="Data set folder; every second clip is learned from, too.")
    ] = None,
    kind: KindOption = Kind.annotations,
) -> None:
    """Fit what finds the routine in a longer recording, on simulated recordings.

    Example: python -m training fit-finder --action vault --recordings data/uncut --out
    model_store/finding/vault.safetensors
    """
    with exit_on_errors():
        from model_store.finding.features import parts_of
        from model_store.finding.finder import Finder
        from training.data.judged_clips import open_clips
        from training.display import bar
        from training.errors import RunError
        from training.finding.fit import LENGTHS, fit, threshold, write
        from training.finding.recordings import (
            SIZE,
            cut_clips,
            frames_of,
            make_recordings,
            whole_spec,
        )

        if action not in LENGTHS:
            raise RunError(f"action is {action}, there are simulated recordings of {[*LENGTHS]}")
        with bar("recordings") as shown:
            learned = make_recordings(action, seed, count, recordings, shown.progress("recording"))
            others = make_recordings(
                action, seed + 1, thresholds, recordings, shown.progress("recording")
            )
        clips = []
        if data is not None:
            spec = whole_spec(action, SIZE)
            chosen = open_clips(kind, [data], spec, "train")[::2]
            clips = [parts_of(frames_of(source, action)) for source in cut_clips(chosen)]
        with bar("steps") as shown:
            network = fit(
                action,
                learned,
                clips,
                steps=steps,
                seed=seed,
                on_step=lambda done, of, figures: shown.update(
                    done, of, phase="fitting", figures=figures
                ),
            )
        network.likely = threshold(Finder.from_arrays(network.arrays()), others)
        about = {
            "action": action,
            "simulated recordings": str(count),
            "seed": str(seed),
            "recordings for the threshold": f"{thresholds} of seed {seed + 1}",
            "steps": str(steps),
            "clips": str(len(clips)),
        }
        write(network, out, about)
        typer.echo(f"finder: {out}")
