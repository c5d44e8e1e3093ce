"""Lists that were published as text."""

from pathlib import Path

from training.errors import DataError


def read_lines(path: Path) -> list[str]:
    """The lines of a file that are not empty, stripped; at least one.   Raises DataError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty")
    return lines
