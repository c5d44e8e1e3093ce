"""
Files and folders that have their name only once they are whole.

Until then they stand beside it as `.NAME-RANDOM.partial`, are on the disk before they are renamed,
and are removed where an error comes in between. A killed process leaves them behind:
`remove_partial_files` is for the owner of a folder.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

PARTIAL = ".*.partial"  # the names, as a pattern


def replace_file(path: Path, content: bytes) -> None:
    """The file holds its old content or the new one, whatever happens in between."""
    with replacing(path) as partial:
        partial.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where the block writes a file, which takes the place of `path` at its end."""
    partial = _partial(path)
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Where the block writes the files of a folder, which is renamed to `path` at its end.

    Who may read it is up to the umask, as everywhere here but in `make_public_folder`.
    Raises OSError where there is such a folder by then.
    """
    partial = _partial(path)
    partial.mkdir(parents=True)
    try:
        yield partial
        for file in partial.iterdir():
            _flush(file)
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def make_public_folder(path: Path) -> None:
    """The folder, and those above it that are missing: everybody may read them, by any umask."""
    if path.is_dir():
        return
    make_public_folder(path.parent)
    with contextlib.suppress(FileExistsError):  # somebody else is making it
        path.mkdir()
        path.chmod(0o755)


def remove_partial_files(folder: Path) -> None:
    """Remove what killed processes left in a folder to which no other process writes."""
    for partial in list(folder.glob(PARTIAL)):
        partial.unlink()


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}-{token_hex(4)}.partial")


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
