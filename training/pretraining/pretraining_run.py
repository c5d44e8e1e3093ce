"""A pre-training from its options to the extractor's file: clips, pretext task, training."""

from collections.abc import Callable, Sequence
from pathlib import Path

from training.choices import Kind
from training.data.clip_dataset import open_dataset
from training.data.clip_list import ClipRecord
from training.data.resident_clips import ResidentClips
from training.data.split import Origin
from training.display import Bar, bar
from training.errors import RunError
from training.learn.extractor_file import extractor_clips
from training.learn.forward import Device
from training.learn.malloc import keep_freed_memory
from training.learn.run_folder import RunFolder
from training.learn.summary import record_command
from training.pretraining.action_classification import ActionClassification
from training.pretraining.kept_features import KeptClips
from training.pretraining.pretext_tasks import TrackRegression
from training.pretraining.pretrain import PretextTask, Pretrainer
from training.pretraining.pretrain_spec import PretrainSpec

OnClips = Callable[[Sequence[ClipRecord]], None]


def pretrain_extractor(
    spec: PretrainSpec,
    out: Path,
    *,
    cache: Path | None = None,
    restart: bool = False,
    save_every: float = 60.0,
) -> Path:
    """Train, or resume, in the folder `out`; the extractor's file.   Raises DataError, RunError."""
    if spec.kind == Kind.ucf101 and len(spec.data) > 1:
        raise RunError(f"{len(spec.data)} folders of ucf-101, need one")
    if spec.kind == Kind.ucf101 and spec.extractor is not None:
        raise RunError("an extractor goes on with judged clips, not with ucf-101")
    keep_freed_memory()
    folder = RunFolder(out)
    if restart:
        folder.restart()
    folder.open(spec.to_json())
    records: list[ClipRecord] = []
    with bar("clips") as shown:
        kept = _open_kept(spec, records.extend, cache, shown)
        task = _open_task(spec, lambda own: folder.check_clips([*own, *records]), cache, shown)
    record_command(folder)
    with bar("steps") as shown:
        return Pretrainer(spec, task, folder, kept=kept, save_every=save_every).train(shown)


def _open_kept(
    spec: PretrainSpec, on_clips: OnClips, cache: Path | None, shown: Bar
) -> KeptClips | None:
    """The clips whose features are kept, some of them for measuring how well."""
    if not spec.keep:
        return None
    dataset = open_dataset(
        spec.keep,
        spec.clip,
        validation=spec.validation,
        on_clips=on_clips,
        cache=cache,
        progress=shown.progress("decoding"),
    )
    resident = ResidentClips.where_they_fit(dataset.cache, Device.best().kind)
    return KeptClips(dataset, resident)


def _open_task(
    spec: PretrainSpec, on_clips: OnClips, cache: Path | None, shown: Bar
) -> PretextTask:
    progress = shown.progress("decoding")
    if spec.kind == Kind.ucf101:
        return ActionClassification.open(
            Path(spec.data[0]),
            spec.clip,
            validation=spec.validation,
            on_clips=on_clips,
            cache=cache,
            progress=progress,
        )
    dataset = open_dataset(
        spec.data,
        spec.clip,
        kind=spec.kind,
        validation=spec.validation,
        origin=_origin(spec),
        on_clips=on_clips,
        cache=cache,
        progress=progress,
    )
    return TrackRegression(dataset, spec.seed, Device.best().kind)


def _origin(spec: PretrainSpec) -> Origin | None:
    path = spec.extractor
    return None if path is None else Origin(path, extractor_clips(Path(path)))
