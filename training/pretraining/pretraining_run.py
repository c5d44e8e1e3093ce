"""A pre-training from its options to the extractor's file: clips, pretext task, training."""

from pathlib import Path

from model_store.checkpoint import Checkpoint
from training.data.clip_dataset import open_dataset
from training.data.datasets.kinds import Kind
from training.data.split import Origin
from training.display import Bar, bar
from training.errors import RunError
from training.learn.forward import Device
from training.learn.malloc import keep_freed_memory
from training.learn.run_folder import RunFolder
from training.learn.summary import record_command
from training.pretraining.action_classification import ActionClassification
from training.pretraining.pretext_tasks import TrackRegression
from training.pretraining.pretrain import PretextTask, Pretrainer
from training.pretraining.pretrain_spec import PretrainSpec


def pretrain_extractor(
    spec: PretrainSpec,
    out: Path,
    *,
    base: Checkpoint | None = None,
    cache: Path | None = None,
    restart: bool = False,
    save_every: float = 60.0,
) -> Path:
    """Train, or resume, in the folder `out`; the extractor's file.   Raises DataError, RunError.

    `base` is the checkpoint that `spec.base` names.
    """
    if spec.kind == Kind.ucf101 and len(spec.data) > 1:
        raise RunError(f"{len(spec.data)} folders of ucf-101, need one")
    if spec.kind == Kind.ucf101 and base is not None:
        raise RunError("a base goes on with clips of its own action, not with ucf-101")
    keep_freed_memory()
    folder = RunFolder(out)
    if restart:
        folder.restart()
    folder.open(spec.to_json())
    with bar("clips") as shown:
        task = _open_task(spec, folder, base, cache, shown)
    record_command(folder)
    with bar("steps") as shown:
        return Pretrainer(spec, task, folder, base=base, save_every=save_every).train(shown)


def _open_task(
    spec: PretrainSpec, folder: RunFolder, base: Checkpoint | None, cache: Path | None, shown: Bar
) -> PretextTask:
    progress = shown.progress("decoding")
    if spec.kind == Kind.ucf101:
        return ActionClassification.open(
            Path(spec.data[0]),
            spec.clip,
            validation=spec.validation,
            on_clips=folder.check_clips,
            cache=cache,
            progress=progress,
        )
    dataset = open_dataset(
        spec.data,
        spec.clip,
        kind=spec.kind,
        validation=spec.validation,
        origin=None if base is None else Origin.of(base),
        on_clips=folder.check_clips,
        cache=cache,
        progress=progress,
    )
    return TrackRegression(dataset, spec.seed, Device.best().kind)
