"""
One checkpoint as one file, NAME-VERSION.tar.gz: the files of its folder below `NAME-VERSION/`.

The same checkpoint gives the same bytes. An archive from elsewhere may hold these files and nothing
else: no links, no other folders, no more bytes than `MOST_BYTES`.
"""

import gzip
import io
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from model_store.checkpoint import (
    FILES,
    MANIFEST,
    PICTURES,
    Checkpoint,
    is_left_by_a_system,
    verified_files,
)
from model_store.errors import CheckpointCorrupt
from model_store.files import replacing

NAMES = frozenset({*FILES, *PICTURES, MANIFEST})
MOST_BYTES = 4 << 30  # unpacked; the paper's network has half a gigabyte


def write_archive(checkpoint: Checkpoint, path: Path) -> None:
    """Raises CheckpointCorrupt, CheckpointUnreadable, OSError."""
    contents = verified_files(checkpoint.path)
    folder = f"{checkpoint.name}-{checkpoint.version}"
    with (
        replacing(path) as partial,
        partial.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in sorted(contents.items()):
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))


def unpack_archive(path: Path, folder: Path) -> None:
    """The files of the one checkpoint in an archive, into a folder that is there.

    Raises CheckpointCorrupt for what is no such archive, OSError.
    """
    seen: set[str] = set()
    parents: set[PurePosixPath] = set()
    size = 0
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if member.isdir() or is_left_by_a_system(name):
                    continue
                size += member.size
                parents.add(PurePosixPath(member.name).parent)
                if not member.isreg() or name not in NAMES or name in seen or len(parents) > 1:
                    raise CheckpointCorrupt(
                        f"{path.name} holds {member.name}; need the files of one checkpoint, each"
                        f" once: {', '.join(sorted(NAMES))}"
                    )
                if size > MOST_BYTES:
                    raise CheckpointCorrupt(f"{path.name} holds more than {MOST_BYTES} bytes")
                seen.add(name)
                source = archive.extractfile(member)
                assert source is not None  # it is a regular file
                with source, (folder / name).open("wb") as file:
                    shutil.copyfileobj(source, file)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CheckpointCorrupt(f"{path.name} is no archive that can be read") from error
    if MANIFEST not in seen:
        raise CheckpointCorrupt(f"{path.name} holds no checkpoint: there is no {MANIFEST}")
