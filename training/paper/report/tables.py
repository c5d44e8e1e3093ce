"""
Table 1 and Table 2 of [Li18], and the numbers behind Fig. 2, as Markdown.

What was measured here and what was published stand in columns of their own: they are of
different clips.

[Li18] Y. Li, X. Chai, X. Chen. End-To-End Learning for Action Quality Assessment. PCM 2018.
"""

from collections.abc import Sequence

from training.measure.bootstrap import Estimate
from training.paper.report import published
from training.paper.report.methods import DIFFICULTY, MEAN, Value, averaged, methods
from training.paper.report.published import Published
from training.paper.report.results import DECLARED, FROM_ZERO, LOSSES, VIDEO, Cell, DataSet

NONE = "–"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def losses_table(data: DataSet) -> str:
    """Table 1 for one data set: the loss terms × SRC and MED, a row for each output."""
    paper = f"[Li18], {published.DATA.get(data.published_as, data.published_as)}"
    header = ["loss", "last: SRC", "last: MED", "all: SRC", "all: MED", f"{paper}: SRC", "MED"]
    rows = []
    for loss in (*LOSSES, FROM_ZERO):
        last, everything = data.cell(loss, data.last), data.cell(loss, data.all)
        if loss == FROM_ZERO and not (last or everything):
            continue
        printed = _printed(published.LOSSES[loss].get(data.published_as))
        if not data.has_declared:
            rows.append([loss, *_both(last), *_both(everything), *printed])
            continue
        rows.append([f"{loss}, {VIDEO}", *_both(last), *_both(everything), *printed])
        last, everything = (cell and cell.declared for cell in (last, everything))
        row = [*_both(last), *_both(everything), NONE, NONE]
        rows.append([f"{loss}, {DECLARED}", *row])
    nothing = ["0", _text(data.always_the_mean, 2)]
    rows.append(
        [MEAN, *nothing, *nothing, *_printed(published.TRAINING_MEAN.get(data.published_as))]
    )
    if (alone := data.difficulty_alone) is not None:
        known = published.DIFFICULTY_ALONE.get(data.published_as)
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
    """Table 2: the methods × data sets, SRC; after those of an action what was published of it."""
    names = list(dict.fromkeys(data.published_as for data in sets))
    listed, chosen = methods(sets), averaged(sets)
    header, rows = ["method"], [[method.name] for method in listed]
    for name in names:
        mine = [number for number, data in enumerate(sets) if data.published_as == name]
        header += [f"{sets[number].name}, {len(sets[number].clips)} clips" for number in mine]
        header.append(f"published, {published.DATA.get(name, name)}")
        for method, row in zip(listed, rows, strict=True):
            found = [method.measured[number] for number in mine]
            texts = [", ".join(map(_value, each)) or NONE for each in found]
            known = method.published.get(name)
            row += [*texts, NONE if known is None else f"{known.spearman:g}"]
    if chosen:
        title = f"AQA-7, average of {len(chosen)} actions by Fisher's z"
        header += [title, f"published, {title}"]
        of = [sets[number].kind for number in chosen]
        for method, row in zip(listed, rows, strict=True):
            averages = method.average(chosen), method.published_average(of)
            row += [
                NONE if each is None else f"{each:.{digits}f}"
                for each, digits in zip(averages, (3, 4), strict=True)
            ]
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


def _both(cell: Cell | None) -> list[str]:
    if cell is None:
        return [NONE, NONE]
    return [_text(cell.spearman, 3), _text(cell.mean_distance, 2)]


def _printed(known: Published | None) -> list[str]:
    if known is None:
        return [NONE, NONE]
    distance = NONE if known.mean_distance is None else f"{known.mean_distance:.2f}"
    return [f"{known.spearman:g}", distance]


def _value(value: Value) -> str:
    return _text(value, 3) if isinstance(value, Estimate) else f"{value:.3f}" if value else "0"


def _text(estimate: Estimate, digits: int) -> str:
    value, low, high = (f"{v:.{digits}f}" for v in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"
