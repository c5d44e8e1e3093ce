"""
Scored clips as a CSV file: what `score --csv` writes.

A row has the cells that the input had, and the columns of `ANSWER` behind them; they replace
columns of the same names, so that such a file can be scored again. Numbers have decimal points.
"""

import csv
import io
from collections.abc import Sequence

from model_store.assessment import Assessment
from model_store.tables.clip_table import ClipRequest

ANSWER = (
    "predicted_score", "predicted_low", "predicted_high", "predicted_execution", "scored_by",
    "needs_review", "review_reasons", "warnings", "checkpoint", "clip_sha256", "judged_score",
    "difference", "error",
)  # fmt: skip
DIGITS = 4  # after the decimal point


def csv_of(results: Sequence[tuple[ClipRequest, Assessment | str]]) -> str:
    """A row a clip, in order; at least one clip.

    Points: `predicted_…`, `judged_score` (what judges gave) and `difference`, which is predicted −
    judged. `review_reasons` and `warnings` are parted by spaces. Of a clip that could not be scored
    `error` states why.
    """
    cells = [request.cells or {"clip": request.name} for request, _ in results]
    names = [name for name in cells[0] if name.casefold() not in ANSWER]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*names, *ANSWER], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row, (request, result) in zip(cells, results, strict=True):
        kept = {name: row[name] for name in names}
        writer.writerow(kept | _answer(result, request.judged))
    return text.getvalue()


def _answer(result: Assessment | str, judged: float | None) -> dict[str, str]:
    given = {"judged_score": _number(judged)}
    if isinstance(result, str):
        return given | {"error": result}
    interval = result.interval
    return given | {
        "predicted_score": _number(result.score),
        "predicted_low": _number(interval.low if interval else None),
        "predicted_high": _number(interval.high if interval else None),
        "predicted_execution": _number(result.execution),
        "scored_by": result.scored_by,
        "needs_review": str(result.needs_review).lower(),
        "review_reasons": " ".join(result.review_reasons),
        "warnings": " ".join(result.warnings),
        "checkpoint": result.checkpoint.reference,
        "clip_sha256": result.clip.sha256,
        "difference": _number(None if judged is None else result.score - judged),
    }


def _number(value: float | None) -> str:
    return "" if value is None else str(round(value, DIGITS))
