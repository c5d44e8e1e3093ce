"""Lists that people and their programs wrote, a line each."""

import io
from pathlib import Path

from model_store.tables.text_file import read_text
from training.errors import DataError, as_data_error


@as_data_error()
def read_lines(path: Path) -> list[str]:
    """The lines of a file that are not empty, stripped; at least one.   Raises DataError."""
    lines = [line.strip() for line in io.StringIO(read_text(path), newline=None) if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty")
    return lines
