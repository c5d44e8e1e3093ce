"""docs/tour.ipynb runs from its first cell to its last, in Jupyter's own kernel."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "docs/tour.ipynb"


def tour() -> Any:
    return nbformat.reads(TOUR.read_text(), as_version=4)  # type: ignore[no-untyped-call]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
def test_the_tour_runs_and_its_numbers_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = tour()
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", [])]
    text = "".join(each.get("text", "") for each in outputs)
    found = re.search(r"baseline \+ contributions = ([\d.]+), score = ([\d.]+)", text)
    assert found is not None
    assert float(found[1]) == pytest.approx(float(found[2]), abs=0.002)
    assert len(re.findall(r"^[\d.]+ points, most likely between [\d.]+ and ", text, re.M)) == 3
    pictures = [each for each in outputs if "image/png" in each.get("data", {})]
    assert len(pictures) == 2


def test_what_is_stored_is_what_its_cells_printed() -> None:
    """Cells were run in order, and none failed."""
    cells = [each for each in tour().cells if each.cell_type == "code"]
    assert [each.execution_count for each in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert "error" not in kinds
    assert {"stream", "display_data"} <= kinds


def test_what_its_cells_print_is_not_of_one_machine() -> None:
    assert "site-packages" not in TOUR.read_text()
    assert str(ROOT) not in TOUR.read_text()
