"""
Where a checkpoint can come from: a folder, an archive, or an address of either.

Addresses (hf://…, s3://…, https://…) are read by fsspec and the package that it names for each kind
of address; they come with the extra [remote].
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from model_store.checkpoint import MANIFEST
from model_store.errors import CheckpointNotFound, TransferError
from model_store.transfer.checkpoint_archive import MOST_BYTES, NAMES, unpack_archive

_CHUNK = 1 << 20  # bytes a read


@contextmanager
def checkpoint_folder(source: str) -> Iterator[Path]:
    """A folder with the files of the checkpoint at `source`, unverified, for as long as the block.

    Raises CheckpointNotFound, CheckpointCorrupt, TransferError, OSError.
    """
    with tempfile.TemporaryDirectory(prefix="checkpoint-") as temporary:
        work = Path(temporary)
        path = fetched(source, work) if "://" in source else Path(source)
        if path.is_dir():
            if not (path / MANIFEST).is_file():
                raise CheckpointNotFound(f"{source} holds no checkpoint: there is no {MANIFEST}")
            yield path
        elif path.is_file():
            unpacked = work / "unpacked"
            unpacked.mkdir()
            unpack_archive(path, unpacked)
            yield unpacked
        else:
            raise CheckpointNotFound(f"{source} is neither a folder nor a file")


def fetched(address: str, work: Path) -> Path:
    """What is there: the files of a folder that a checkpoint may have, or one file."""
    try:
        import fsspec

        system, path = fsspec.core.url_to_fs(address)
        if not system.exists(path):
            raise CheckpointNotFound(f"there is nothing at {address}")
        if not system.isdir(path):
            return download(system, [system.info(path)], work / "fetched")[0]
        infos = [each for each in system.ls(path, detail=True) if name_of(each) in NAMES]
        download(system, infos, work / "fetched")
        return work / "fetched"
    except (CheckpointNotFound, TransferError):
        raise
    except ImportError as error:
        raise TransferError(
            f"{address} needs the extra: pip install 'fragment-scorer[remote]' ({error})"
        ) from error
    except Exception as error:  # of whichever library reads this kind of address
        raise TransferError(f"{address}: {type(error).__name__}: {error}") from error


def download(system: Any, infos: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Files of a file system of fsspec, by what it knows of each.   Raises TransferError."""
    folder.mkdir()
    left = MOST_BYTES
    paths = []
    for info in infos:
        paths.append(folder / name_of(info))
        with system.open(info["name"], "rb") as source, paths[-1].open("wb") as target:
            while chunk := source.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise TransferError(f"there are more than {MOST_BYTES} bytes")
                target.write(chunk)
    return paths


def name_of(info: dict[str, Any]) -> str:
    name: str = info["name"]
    return name.rstrip("/").rpartition("/")[2]
