"""
The judged clips of a run: read, decoded, and split into training and validation.

Only the training split of a data set is ever decoded here; the test split is for `evaluate`.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_store.card import ClipsCard, group_hash
from model_store.network_spec import Target
from model_store.spec import ClipSpec
from training.choices import Kind
from training.data.announced import Announced
from training.data.cache import ClipCache, open_cache
from training.data.clip_list import ClipRecord, Side, hash_of_labels
from training.data.datasets.annotations import JudgedClip
from training.data.datasets.hashes import source_hash
from training.data.datasets.media import ClipPart
from training.data.file_times import FileTimes
from training.data.folds import by_hash, units_of
from training.data.judged_clips import open_clips
from training.data.pairs import leaders
from training.data.partial_scores import PartialScores
from training.data.seen_clips import seen_among
from training.data.split import Indices, Origin, Sides, among, divide
from training.data.subset import Subset
from training.data.targets import ROUTINE, FragmentTargets
from training.errors import DataError

CACHE = ".cache"  # below the first data set folder
# Columns that training learns from.
LABELS = ("pair", "role", "fault", "true_score", "frames", *ROUTINE, "position")


@dataclass(frozen=True)
class ClipDataset:
    spec: ClipSpec
    clips: list[JudgedClip]
    hashes: list[str]
    """(N,) SHA-256 of the clips' bytes."""
    cache: ClipCache
    judged: NDArray[np.float32]
    """(N,) scores as announced, points."""
    announced: Announced
    """What each output of the network is worth of them."""
    training: Indices
    validation: Indices
    leader: Indices
    """(N,): of the faulty clip of a counterfactual pair the clean one, else the clip itself."""
    unit_names: list[str]
    """(N,): clips of one unit stay on one side of every split, see `split.name_units`."""
    rehearsed: NDArray[np.bool_]
    """(N,): clips of another kind that are not to be forgotten. They train and never validate."""
    origin: Origin | None = None
    """What the weights start from."""
    subset: Subset | None = None
    """What limits the clips on the training side."""
    notes: tuple[str, ...] = ()
    """What a user must know of the split."""

    @property
    def seen(self) -> ClipsCard:
        """All clips that weights of this run have seen, those of its origin included."""
        before = ClipsCard.of() if self.origin is None else self.origin.clips
        groups = (self.clips[n].group for n in self.training)
        return before.trained_on(
            (self.hashes[n] for n in self.training),
            (self.hashes[n] for n in self.validation),
            groups=(group_hash(group) for group in groups if group is not None),
        )

    def in_fold(self, fold: tuple[int, int] | None) -> "ClipDataset":
        """The same clips with the sides of that fold; None keeps none for validation."""
        sides = own_sides(
            self.unit_names,
            self.hashes,
            self.rehearsed,
            share=None,
            fold=fold,
            origin=self.origin,
            subset=self.subset,
        )
        return dataclasses.replace(self, training=sides.training, validation=sides.validation)

    def clip_records(self) -> list[ClipRecord]:
        """What a run's folder keeps of them."""
        return clip_records(self.clips, self.hashes, self.training, self.validation)

    @property
    def unit_numbers(self) -> Indices:
        """(N,): `unit_names` as numbers."""
        return np.unique(self.unit_names, return_inverse=True)[1]

    @property
    def fresh(self) -> Indices:
        """Training clips that did not train the origin, nor belong together with one that did."""
        if self.origin is None:
            return self.training
        taught = among(self.hashes, self.origin.clips.training)
        mates = np.isin(self.unit_numbers, self.unit_numbers[taught])
        return self.training[~mates[self.training]]

    @functools.cached_property
    def targets(self) -> FragmentTargets:
        return FragmentTargets.read(self.spec, self.clips, self._times)

    @functools.cached_property
    def partial_scores(self) -> PartialScores:
        return PartialScores.read(self.spec, self.clips, self._times, self.training, self.announced)

    @functools.cached_property
    def pair_costs(self) -> NDArray[np.float32]:
        """(N,) points that a fault of the kind costs, root mean square over training pairs.

        Of clips that are not the faulty one of a pair 1.
        """
        squares = (self.judged - self.judged[self.leader]) ** 2
        learned = np.isin(np.arange(len(self.clips)), self.training)
        costs = np.ones(len(self.clips), np.float32)
        for kind in range(self.pair_kinds.max(initial=-1) + 1):
            of_kind = self.pair_kinds == kind
            mean = squares[of_kind & learned].mean() if (of_kind & learned).any() else 0
            costs[of_kind] = np.sqrt(mean) or 1
        return costs

    @functools.cached_property
    def pair_kinds(self) -> Indices:
        """(N,) which kind of fault the faulty clip of a pair shows, 0 and on; −1 of other clips."""
        faulty = np.flatnonzero(self.leader != np.arange(len(self.clips)))
        names = [self.clips[n].columns.get("fault", "") for n in faulty]
        kinds = np.full(len(self.clips), -1)
        kinds[faulty] = np.unique(names, return_inverse=True)[1] if names else []
        return kinds

    @property
    def _times(self) -> list[FileTimes]:
        return [self.cache.times(index) for index in range(len(self.clips))]

    @property
    def own(self) -> Indices:
        """Training clips that are not rehearsed: those that the scores are to be like."""
        return self.training[~self.rehearsed[self.training]]

    @property
    def mean(self) -> float:
        """Of the own training clips' scores, points."""
        return float(self.judged[self.own].mean())

    @property
    def deviation(self) -> float:
        return float(self.judged[self.own].std())

    @functools.cached_property
    def values(self) -> NDArray[np.float32]:
        """(N, O): what each output is to predict, in its unit."""
        return self.announced.value(self.judged[:, None], np.arange(len(self.judged)))

    @property
    def means(self) -> NDArray[np.float32]:
        """(O,) of the own training clips, each output in its unit."""
        means: NDArray[np.float32] = self.values[self.own].mean(axis=0)
        return means

    @property
    def deviations(self) -> NDArray[np.float32]:
        """(O,)"""
        deviations: NDArray[np.float32] = self.values[self.own].std(axis=0)
        return deviations


def open_dataset(
    folders: tuple[str, ...],
    spec: ClipSpec,
    *,
    kind: str = Kind.annotations,
    target: Target = "final",
    rehearse: tuple[str, ...] = (),
    validation: float,
    folds: int | None = None,
    fold: int | None = None,
    origin: Origin | None = None,
    subset: Subset | None = None,
    on_clips: Callable[[Sequence[ClipRecord]], None] | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ClipDataset:
    """Read, split as `split.divide` does, and decode what is not cached.   Raises DataError.

    Clips come in the order of their hashes, so that a run is the same however rows and folders are
    ordered. With `folds` but no `fold` none validate. `on_clips` is called with them before the
    first one is decoded. Clips in the folders to `rehearse`, of the layout annotations, only train.
    `subset` limits the other clips that train.
    """
    clips = open_clips(kind, folders, spec, "train")
    others = open_clips(Kind.annotations, rehearse, spec, "train")
    is_other = np.arange(len(clips) + len(others)) >= len(clips)
    clips += others
    order, hashes = by_hash(clips)
    clips, rehearsed = [clips[n] for n in order], is_other[order]
    announced, unit_names = Announced.of(clips, spec, target), units_of(clips, hashes)
    parted = partial(own_sides, unit_names, hashes, rehearsed, origin=origin, subset=subset)
    if folds is None:
        sides = parted(share=validation)
    else:  # without one, see that there can be so many
        sides = parted(share=None, fold=(fold or 0, folds))
        if fold is None:
            sides = parted(share=None)
    if on_clips is not None:
        on_clips(clip_records(clips, hashes, sides.training, sides.validation))
    unknown = [] if origin is None else seen_among(origin.name, origin.clips, clips).unknown
    decoded = open_cache(
        [clip.source for clip in clips],
        spec,
        cache or Path(folders[0]) / CACHE,
        progress=progress,
    )
    return ClipDataset(
        spec=spec,
        clips=clips,
        hashes=hashes,
        cache=decoded,
        judged=np.array([clip.score for clip in clips], np.float32),
        announced=announced,
        training=sides.training,
        validation=sides.validation,
        leader=leaders(clips),
        unit_names=unit_names,
        rehearsed=rehearsed,
        origin=origin,
        subset=subset,
        notes=(*sides.notes, *unknown),
    )


def own_sides(
    unit_names: Sequence[str],
    hashes: Sequence[str],
    rehearsed: NDArray[np.bool_],
    *,
    share: float | None,
    fold: tuple[int, int] | None = None,
    origin: Origin | None = None,
    subset: Subset | None = None,
) -> Sides:
    """`split.divide` of the clips that are not rehearsed; those that are, (N,), train.

    `subset` leaves clips out that would train.

    Raises DataError, also where one unit is of both.
    """
    own, others = np.flatnonzero(~rehearsed), np.flatnonzero(rehearsed)
    names, digests = np.array(unit_names), np.array(hashes)
    if len(both := np.intersect1d(names[own], names[others])):
        raise DataError(f"{both[0]} is among the clips and among those to rehearse")
    sides = divide(
        names[own].tolist(), digests[own].tolist(), share=share, fold=fold, origin=origin
    )
    training = own[sides.training]
    if subset is not None:
        training = subset.of(training, unit_names)
    training = np.union1d(training, others)
    return Sides(training, own[sides.validation], sides.notes)


def clip_records(
    clips: Sequence[JudgedClip], hashes: Sequence[str], training: Indices, validation: Indices
) -> list[ClipRecord]:
    """What a run's folder keeps of its clips."""
    side: dict[int, Side] = dict.fromkeys(training.tolist(), "training")
    side |= dict.fromkeys(validation.tolist(), "validation")
    return [
        ClipRecord.of(
            clip.path,
            digest,
            repr(clip.score),
            side=side.get(n, "unused"),
            difficulty="" if clip.difficulty is None else repr(clip.difficulty),
            group=clip.group or "",
            labels=hash_of_labels(
                clip.execution,
                clip.stage_starts,
                sorted(clip.deductions.items()),
                [clip.columns.get(name) for name in LABELS],
                None if clip.tracks is None else source_hash(clip.tracks),
                *((clip.start_s, clip.end_s) if isinstance(clip.source, ClipPart) else ()),
            ),
        )
        for n, (clip, digest) in enumerate(zip(clips, hashes, strict=True))
    ]
