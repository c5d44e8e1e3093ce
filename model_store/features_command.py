"""
`python -m model_store features`: the pooled features of clips, for research.

What is in the file stands in `arrays_of`. NumPy reads it back without pickle.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import track
from rich.text import Text

from model_store.errors import InvalidFile, ModelStoreError
from model_store.terminal import (
    BAD_COMMAND,
    BAD_INPUT,
    ActionOption,
    AnnotationsOption,
    CheckpointOption,
    ClipsArgument,
    EngineChoice,
    StoreOption,
    check_either,
    check_target,
    err,
    fail,
    files_read,
    store_in,
    write_bytes,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model_store.batch_scoring import ScoredClip
    from model_store.scorer import Scorer
    from model_store.tables.clip_table import ClipRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFeatures:
    request: "ClipRequest"
    features: "NDArray[np.float32]"
    """(P,)"""
    sha256: str
    score: float | None

    @classmethod
    def of(cls, request: "ClipRequest", result: "ScoredClip") -> "ClipFeatures":
        unknown = request.difficulty is None and result.score.output == "execution"
        return cls(
            request=request,
            features=result.features,
            sha256=result.clip.info.sha256,
            score=None if unknown else result.assess(request.difficulty).score,
        )


def features(
    file: Annotated[
        Path, typer.Option("--out", metavar="FILE.npz", help="The file; - for the screen.")
    ],
    clips: ClipsArgument = None,
    annotations: AnnotationsOption = None,
    action: ActionOption = "diving",
    checkpoint: CheckpointOption = None,
    engine: EngineChoice = EngineChoice.auto,
    store: StoreOption = None,
) -> None:
    """Write what a checkpoint sees in clips: its pooled features, as .npz.

    Arrays of N clips, P features: features (N, P), of the fragment and the
    channel that fragment (P,) and channel (P,) name; names, sha256, score,
    judged_score, start_s and end_s (N,); checkpoint and checkpoint_sha256.
    A clip that cannot be scored is left out. The table of --annotations is
    that of the command score.

    Exit codes: 0 all well, 1 a clip or the table cannot be read, 2 the
    command is wrong.
    """
    check_either(clips, annotations)
    from model_store.batch_scoring import score_clips
    from model_store.scorer import Scorer
    from model_store.tables.clip_table import ClipRequest, read_clip_table

    try:
        chosen = store_in(store).load(checkpoint or action)
        if annotations is not None:
            requests = read_clip_table(annotations, chosen.spec.action)
        else:
            requests = [ClipRequest(name=str(path), path=path) for path in clips or []]
        check_target(file, files_read(annotations, requests))
        scorer = Scorer(chosen, engine.value)
    except InvalidFile as error:
        fail(error)
    except ModelStoreError as error:
        fail(error, BAD_COMMAND)
    found = []
    for request, result in track(
        score_clips(scorer, requests),
        total=len(requests),
        console=err,
        disable=len(requests) < 2,
        description="scoring",
    ):
        if isinstance(result, str):
            err.print(Text.assemble(request.name, ": ", (result, "red")), soft_wrap=True)
        else:
            found.append(ClipFeatures.of(request, result))
    if not found:
        fail(ValueError("no clip can be scored, nothing is written"))
    try:
        write_bytes(file, npz_of(arrays_of(scorer, found)))
    except OSError as error:
        fail(error)
    text = f"{file}: features of {len(found)} clips by {chosen.reference}"
    err.print(Text(text), soft_wrap=True)
    if len(found) < len(requests):
        raise typer.Exit(BAD_INPUT)


def arrays_of(scorer: "Scorer", clips: Sequence[ClipFeatures]) -> dict[str, "NDArray[Any]"]:
    """What the file holds of N clips, K fragments that the network looks at, D channels, P = K · D.

    features           (N, P) float32: the output of the last layer of the extractors, the mean over
                       time, pixels and views. Feature k · D + d is channel d of the k-th fragment.
    fragment, channel  (P,) of each feature; fragments count from 0, in order of time
    names, sha256      (N,) of the clips: as they were given, and of their bytes
    score              (N,) predicted points, as announced; by the difficulty too, where it is known
                       and the checkpoint uses it. NaN where one is needed and not known.
    judged_score       (N,) what judges gave, points; NaN where it is not known
    start_s, end_s     (N,) the part of the file, seconds; NaN where it begins and ends with it
    checkpoint         () NAME@VERSION
    checkpoint_sha256  () of its manifest, hence of everything in it
    """
    import numpy as np

    requests = [each.request for each in clips]
    stacked = np.stack([each.features for each in clips])  # (N, P)
    used = np.array(scorer.engine.used)  # (K,)
    channels = stacked.shape[1] // len(used)  # D

    def optional(values: Sequence[float | None]) -> "NDArray[np.float64]":
        return np.array([np.nan if value is None else value for value in values], np.float64)

    return {
        "features": stacked,
        "fragment": np.repeat(used, channels),
        "channel": np.tile(np.arange(channels), len(used)),
        "names": np.array([request.name for request in requests]),
        "sha256": np.array([each.sha256 for each in clips]),
        "score": optional([each.score for each in clips]),
        "judged_score": optional([request.judged for request in requests]),
        "start_s": optional([request.start_s for request in requests]),
        "end_s": optional([request.end_s for request in requests]),
        "checkpoint": np.array(scorer.checkpoint.reference),
        "checkpoint_sha256": np.array(scorer.checkpoint.sha256),
    }


def npz_of(arrays: Mapping[str, "NDArray[Any]"]) -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # it takes them for allow_pickle
    return file.getvalue()
