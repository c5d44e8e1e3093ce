"""
Small copies of judged clips, for a machine to which little can be carried.

    python -m training.runs.small_copies FOLDER OUT

OUT becomes a data set folder with the training clips of FOLDER as H.264 of the same frames and
times, their shorter side 128 pixels: all that a network of 112×112 pixels looks at. Tracks are left
out. At the end both are scored by a shipped checkpoint, since copies that move its scores would not
do. The same call completes a folder.
"""

import argparse
import csv
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from model_store.clip import load_clip
from model_store.files import remove_partial_files, replacing
from model_store.scorer import Scorer
from model_store.store import Store
from model_store.worker_pool import worker_pool
from training.data.datasets.annotations import ANNOTATIONS
from training.metrics import spearman

SIDE = 128  # pixels of the shorter side, as `--preset paper` scales it
CRF = 24
BATCH = 8  # clips scored at once


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.runs.small_copies")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with annotations.csv")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--crf", type=int, default=CRF, help="of H.264; %(default)s")
    parser.add_argument(
        "--checkpoint", default="diving", help="that scores both; %(default)s, or none"
    )
    options = parser.parse_args()
    names = copy_folder(options.folder, options.out, crf=options.crf)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"{len(names)} clips, {size / 2**20:.1f} MiB")
    if options.checkpoint != "none":
        print(moved(options.checkpoint, options.folder, options.out, names))


def copy_folder(folder: Path, out: Path, *, crf: int = CRF) -> list[str]:
    """Copy the training clips and their annotations; names of the copies below `out`.

    Raises ValueError for two clips whose copies would have one name.
    """
    with (folder / ANNOTATIONS).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    sources = [folder / row["clip"] for row in rows]
    for row in rows:
        row["clip"] = Path(row["clip"]).with_suffix(".mp4").as_posix()
    names = [row["clip"] for row in rows]
    if len({*names}) < len({*sources}):
        raise ValueError(f"{len(sources)} clips would have {len({*names})} names without suffixes")
    jobs = [(source, out / name) for source, name in zip(sources, names, strict=True)]
    for parent in {target.parent for _, target in jobs}:
        parent.mkdir(parents=True, exist_ok=True)
        remove_partial_files(parent)
    missing = [job for job in jobs if not job[1].exists()]
    workers = min(os.cpu_count() or 1, len(missing))
    if workers > 1:
        with worker_pool(workers) as pool:
            list(pool.map(partial(copy_clip, crf=crf), *zip(*missing, strict=True)))
    else:
        for source, target in missing:
            copy_clip(source, target, crf=crf)
    with replacing(out / ANNOTATIONS) as partial_file, partial_file.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return names


def copy_clip(source: Path, target: Path, *, crf: int = CRF) -> None:
    """The video without sound: the same frames at the same times, small.

    Raises ValueError for a video that players turn or show with oblong pixels, which the copy would
    not be.
    """
    with (
        replacing(target) as partial_file,
        av.open(source) as video,
        av.open(partial_file, "w", format="mp4") as copy,
    ):
        stream: Any = video.streams.video[0]
        small: Any = copy.add_stream(
            "libx264", rate=stream.average_rate, options={"preset": "slow", "crf": str(crf)}
        )
        height, width = stream.codec_context.height, stream.codec_context.width
        scale = SIDE / min(height, width)
        small.width, small.height = even(width * scale), even(height * scale)
        small.pix_fmt, small.time_base = "yuv420p", stream.time_base
        small.codec_context.time_base = stream.time_base
        small.codec_context.thread_count = 1  # clips are copied side by side
        if stream.sample_aspect_ratio not in (None, 0, 1):
            raise ValueError(f"{source}: pixels are {stream.sample_aspect_ratio}, need square ones")
        frames: Iterator[Any] = video.decode(stream)
        for frame in frames:
            if frame.rotation:
                raise ValueError(f"{source} is turned by {frame.rotation} degrees, need 0")
            picture = frame.reformat(
                small.width, small.height, format="yuv420p", interpolation="AREA"
            )
            picture.pts, picture.time_base = frame.pts, frame.time_base
            picture.pict_type = PictureType.NONE  # the encoder's choice, not the decoder's
            copy.mux(small.encode(picture))
        copy.mux(small.encode(None))


def even(length: float) -> int:
    """The nearest even number of pixels, which half the resolution of colour needs."""
    return 2 * round(length / 2)


def moved(checkpoint: str, folder: Path, out: Path, names: Sequence[str]) -> str:
    """How far its scores of the copies are from those of the clips, points."""
    scorer = Scorer(Store().load(checkpoint))
    with (folder / ANNOTATIONS).open(newline="") as file:
        sources = [row["clip"] for row in csv.DictReader(file) if row["split"] == "train"]
    before, after = (
        np.array(scores_of(scorer, [place / name for name in clips]))
        for place, clips in ((folder, sources), (out, names))
    )
    off = np.abs(after - before)
    return (
        f"{scorer.checkpoint.reference} scores the copies {off.mean():.2f} points from the clips on"
        f" average, {off.max():.2f} at most; Spearman between both {spearman(after, before):.3f}"
    )


def scores_of(scorer: Scorer, paths: Sequence[Path]) -> list[float]:
    scores: list[float] = []
    for first in range(0, len(paths), BATCH):
        clips = [load_clip(path, scorer.spec) for path in paths[first : first + BATCH]]
        scores += [score.score for score in scorer.score(clips)]
    return scores


if __name__ == "__main__":
    main()
