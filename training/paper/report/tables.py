"""
Table 1 and Table 2 of [Li18], and the numbers behind Fig. 2, as Markdown.

What was measured here and what was published stand in columns of their own: they are of
different clips.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

from collections.abc import Callable, Sequence

from training.measure.bootstrap import Estimate
from training.paper.report import published
from training.paper.report.baseline_file import Baseline
from training.paper.report.published import Published
from training.paper.report.results import DECLARED, LOSSES, VIDEO, Cell, DataSet, Fragments

NONE = "–"
OURS = "fragments network"
MEAN, DIFFICULTY = "always the training mean", "declared difficulty alone"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def losses_table(data: DataSet) -> str:
    """Table 1 for one data set: the loss terms × SRC and MED, a row for each output."""
    paper = f"[Li18], {published.DATA.get(data.action, data.action)}"
    header = ["loss", "last: SRC", "last: MED", "all: SRC", "all: MED", f"{paper}: SRC", "MED"]
    rows = []
    for loss in LOSSES:
        last, everything = data.cell(loss, data.last), data.cell(loss, data.all)
        printed = _printed(published.LOSSES[loss].get(data.action))
        if not data.has_declared:
            rows.append([loss, *_both(last), *_both(everything), *printed])
            continue
        rows.append([f"{loss}, {VIDEO}", *_both(last), *_both(everything), *printed])
        last, everything = (cell and cell.declared for cell in (last, everything))
        row = [*_both(last), *_both(everything), NONE, NONE]
        rows.append([f"{loss}, {DECLARED}", *row])
    nothing = ["0", _text(data.always_the_mean, 2)]
    rows.append([MEAN, *nothing, *nothing, *_printed(published.TRAINING_MEAN.get(data.action))])
    if (alone := data.difficulty_alone) is not None:
        known = published.DIFFICULTY_ALONE.get(data.action)
        rows.append([DIFFICULTY, _text(alone, 3), NONE, _text(alone, 3), NONE, *_printed(known)])
    return markdown(header, rows)


def differences_table(data: DataSet) -> str:
    """Below Table 1: how far losses differ from one another."""
    name = {data.last: "last", data.all: "all"}
    rows = [
        [
            name[each.fragments],
            " minus ".join(each.losses),
            *([each.by] if data.has_declared else []),
            _text(each.spearman, 3),
            _text(each.mean_distance, 2),
        ]
        for each in data.differences
    ]
    scored = ["scored by"] if data.has_declared else []
    return markdown(["fragments", "losses", *scored, "difference of SRC", "of MED"], rows)


def curve_table(data: DataSet) -> str:
    """SRC by the number of clips that were learned from."""
    sizes = sorted({size for line in data.curve for size in line.cells})
    rows = []
    for line in data.curve:
        cells = [line.cells.get(size) for size in sizes]
        declared = [cell and cell.declared for cell in cells]
        seeds = max(len(cell.runs) for cell in line.cells.values())
        for by, row in ((VIDEO, cells), (DECLARED, declared)):
            texts = [NONE if cell is None else _text(cell.spearman_over_seeds, 3) for cell in row]
            if any(row):
                rows.append([line.start, by if data.has_declared else NONE, str(seeds), *texts])
    return markdown(["start", "scored by", "seeds", *(f"{size} clips" for size in sizes)], rows)


def methods_table(sets: Sequence[DataSet]) -> str:
    """Table 2: the methods × data sets, SRC."""
    actions = list(dict.fromkeys(data.action for data in sets))
    header = [
        "method",
        *(f"{data.name}, {len(data.clips)} clips" for data in sets),
        *(f"published, {published.DATA.get(action, action)}" for action in actions),
    ]
    rows = [
        [method, *(_baseline(data, method) for data in sets), *_of(known, actions)]
        for method, known in _methods(sets).items()
    ]
    for title, chosen, is_papers in _choices(sets):
        for loss in LOSSES:
            cells = [data.cell(loss, chosen(data)) for data in sets]
            known = published.LOSSES[loss] if is_papers else {}
            declared = [cell and cell.declared for cell in cells]
            name = f"{OURS}, {title}, {loss}"
            if any(cells) or known:
                rows.append([name, *_ranks(cells), *_of(known, actions)])
            if any(declared):
                rows.append([f"{name}, {DECLARED}", *_ranks(declared), *_of({}, actions)])
    alone = [data.difficulty_alone for data in sets]
    row = [NONE if each is None else _text(each, 3) for each in alone]
    rows.append([DIFFICULTY, *row, *_of(published.DIFFICULTY_ALONE, actions)])
    rows.append([MEAN, *(["0"] * len(sets)), *(["0"] * len(actions))])
    return markdown(header, rows)


def fragments_table(data: DataSet) -> str:
    """What Fig. 2 draws: SRC by single fragment."""
    loss, singles = data.singles()
    shown = data.beside_singles()
    alone = shown[1].alone if shown is not None else None
    rows = []
    for k in range(data.fragments):
        trained = _text(singles[k].spearman, 3) if k in singles else NONE
        blanked = _text(alone[k], 3) if alone is not None else NONE
        rows.append([str(k), data.stage_of_fragment[k] or NONE, trained, blanked])
    header = [
        "fragment",
        "stage",
        f"trained on it alone ({loss})",
        f"all-fragments network ({shown[0] if shown else NONE}), the others blanked",
    ]
    return markdown(header, rows)


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


def _methods(sets: Sequence[DataSet]) -> dict[str, dict[str, Published]]:
    """Published methods, then those that only a baseline's file names."""
    names = {_plain(name) for name in published.METHODS}
    new = [b.method for data in sets for b in data.baselines if _plain(b.method) not in names]
    return published.METHODS | {method: {} for method in new}


def _baseline(data: DataSet, method: str) -> str:
    found: list[Baseline] = [b for b in data.baselines if _plain(b.method) == _plain(method)]
    texts = [_text(b.rank, 3) if b.rank else f"{b.spearman:.3f}" for b in found]
    return ", ".join(texts) or NONE


def _plain(method: str) -> str:
    """ "C3D+SVR" and "c3d-svr" are one method."""
    return "".join(c for c in method.lower() if c.isalnum())


def _ranks(cells: Sequence[Cell | None]) -> list[str]:
    return [NONE if cell is None else _text(cell.spearman, 3) for cell in cells]


def _both(cell: Cell | None) -> list[str]:
    if cell is None:
        return [NONE, NONE]
    return [_text(cell.spearman, 3), _text(cell.mean_distance, 2)]


def _printed(known: Published | None) -> list[str]:
    if known is None:
        return [NONE, NONE]
    distance = NONE if known.mean_distance is None else f"{known.mean_distance:.2f}"
    return [f"{known.spearman:g}", distance]


def _of(known: dict[str, Published], actions: Sequence[str]) -> list[str]:
    return [f"{known[a].spearman:g}" if a in known else NONE for a in actions]


def _text(estimate: Estimate, digits: int) -> str:
    value, low, high = (f"{v:.{digits}f}" for v in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"
