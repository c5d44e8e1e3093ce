"""
Table 2 of [Li18] as values: methods × data sets, and what was published beside them.

Of AQA-7 there is also the average over its actions, by Fisher's z as its authors publish it.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from training.measure.bootstrap import Estimate
from training.metrics import mean_correlation
from training.paper.report import published
from training.paper.report.published import Published
from training.paper.report.results import DECLARED, FROM_ZERO, LOSSES, Cell, DataSet, Fragments

OURS = "fragments network"
MEAN, DIFFICULTY = "always the training mean", "declared difficulty alone"
FEWEST = 2  # actions of an average

Value = Estimate | float
"""A Spearman, with its interval where that is known."""


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table."""

    name: str
    measured: Sequence[Sequence[Value]]
    """For each data set what was measured; several values of several files of `baseline`."""
    published: Mapping[str, Published] = field(default_factory=dict)

    def average(self, chosen: Sequence[int]) -> float | None:
        """Over these data sets; None where one has no value, or several."""
        values = [self.measured[number] for number in chosen]
        if any(len(each) != 1 for each in values):
            return None
        return mean_correlation([_spearman(each[0]) for each in values])

    def published_average(self, names: Sequence[str]) -> float | None:
        """Over the same, as published."""
        if any(name not in self.published for name in names):
            return None
        return mean_correlation([self.published[name].spearman for name in names])


def methods(sets: Sequence[DataSet]) -> list[Method]:
    """Those of others, then the network by fragments and loss, then what needs no video."""
    return [*_of_others(sets), *_ours(sets), *_without_video(sets)]


def averaged(sets: Sequence[DataSet]) -> list[int]:
    """The data sets over which an average is published: the actions of AQA-7, if several."""
    found = [number for number, data in enumerate(sets) if data.kind in published.AQA7]
    kinds = {sets[number].kind for number in found}
    return found if len(kinds) == len(found) >= FEWEST else []


def _of_others(sets: Sequence[DataSet]) -> list[Method]:
    plain = {_plain(name) for name in published.METHODS}
    new = [b.method for data in sets for b in data.baselines if _plain(b.method) not in plain]
    known = published.METHODS | {name: {} for name in new}
    found = []
    for name, figures in known.items():
        measured = [
            [b.rank or b.spearman for b in data.baselines if _plain(b.method) == _plain(name)]
            for data in sets
        ]
        if figures or any(measured):
            found.append(Method(name, measured, figures))
    return found


def _ours(sets: Sequence[DataSet]) -> list[Method]:
    found = []
    for title, chosen, is_papers in _choices(sets):
        for loss in (*LOSSES, FROM_ZERO):
            cells = [data.cell(loss, chosen(data)) for data in sets]
            known = published.LOSSES.get(loss, {}) if is_papers else {}
            declared = [cell and cell.declared for cell in cells]
            name = f"{OURS}, {title}, {loss}"
            if any(cells) or (known and loss != FROM_ZERO):
                found.append(Method(name, _ranks(cells), known))
            if any(declared):
                found.append(Method(f"{name}, {DECLARED}", _ranks(declared)))
    return found


def _without_video(sets: Sequence[DataSet]) -> list[Method]:
    alone = [[] if (each := data.difficulty_alone) is None else [each] for data in sets]
    nothing = {data.published_as: Published(0.0) for data in sets}
    return [
        Method(DIFFICULTY, alone, published.DIFFICULTY_ALONE),
        Method(MEAN, [[0.0]] * len(sets), nothing),
    ]


def _choices(sets: Sequence[DataSet]) -> list[tuple[str, Callable[[DataSet], Fragments], bool]]:
    """Choices of fragments: their name, which they are, and whether the paper has them."""
    others = {f for data in sets for _, f in data.cells if len(f) > 1 and f != data.all}
    return [
        ("last fragment", lambda data: data.last, True),
        ("all fragments", lambda data: data.all, False),
        *(
            (f"fragments {', '.join(map(str, each))}", lambda _, each=each: each, False)
            for each in sorted(others)
        ),
    ]


def _ranks(cells: Sequence[Cell | None]) -> list[list[Value]]:
    return [[] if cell is None else [cell.spearman] for cell in cells]


def _plain(method: str) -> str:
    """ "C3D+SVR" and "c3d-svr" are one method."""
    return "".join(c for c in method.lower() if c.isalnum())


def _spearman(value: Value) -> float:
    return value.value if isinstance(value, Estimate) else value
