import contextlib
import os
import pickle
import tempfile
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from model_store.errors import (
    CheckpointCorrupt,
    CheckpointExists,
    CheckpointNotFound,
    CheckpointUnreadable,
)
from model_store.store import SHIPPED, Store
from tests.checkpoints import publish_tiny
from tests.forked import CONTEXT


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    publish_tiny(store)
    publish_tiny(store, seed=1)
    return store


def test_a_name_means_the_last_published_until_another_is_made_current(store: Store) -> None:
    assert store.versions("diving") == [1, 2]
    assert store.load("diving").version == 2
    store.make_current("diving", 1)
    assert store.load("diving").version == 1
    assert store.load("diving@2").version == 2
    assert store.names() == ["diving"]


@pytest.mark.parametrize(
    "reference", ["vault", "diving@3", "diving@", "diving@-1", "../diving", "diving/1", "", "@1"]
)
def test_an_unknown_reference(store: Store, reference: str) -> None:
    with pytest.raises(CheckpointNotFound):
        store.load(reference)


def test_current_cannot_mean_a_version_that_is_not_there(store: Store) -> None:
    with pytest.raises(CheckpointNotFound):
        store.make_current("diving", 9)
    (store.root / "diving" / "current").write_text("9\n")
    with pytest.raises(CheckpointCorrupt, match="9"):
        store.load("diving")


def test_a_folder_under_another_name_is_refused(store: Store) -> None:
    (store.root / "diving" / "2").rename(store.root / "diving" / "7")
    with pytest.raises(CheckpointCorrupt, match="diving@2"):
        store.load("diving@7")


def test_what_a_newer_release_ships_is_added_and_nothing_else_changes(
    store: Store, tmp_path: Path
) -> None:
    shipped = Store(tmp_path / "shipped")
    publish_tiny(shipped)
    publish_tiny(shipped, "vault")
    ours = Store(tmp_path / "ours")
    assert ours.add_from(shipped) == ["diving@1", "vault@1"]
    assert (ours.load("diving").sha256, ours.current("vault")) == (shipped.load("diving").sha256, 1)

    publish_tiny(shipped, seed=1)
    publish_tiny(ours, "vault", seed=2)
    own = ours.load("vault@2").sha256
    publish_tiny(shipped, "vault", seed=3)
    assert ours.add_from(shipped) == ["diving@2"]
    assert ours.load("diving").version == 1
    assert ours.load("diving@2").version == 2
    assert ours.load("vault@2").sha256 == own
    assert ours.add_from(shipped) == []


def test_a_damaged_version_is_not_added(store: Store, tmp_path: Path) -> None:
    (store.path("diving@2") / "golden.mp4").write_bytes(b"damaged")
    ours = Store(tmp_path / "ours")
    with pytest.raises(CheckpointCorrupt, match=r"golden\.mp4"):
        ours.add_from(store)
    assert ours.versions("diving") == [1]
    assert not list((ours.root / "diving").glob(".*"))


def test_the_store_is_where_the_environment_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SCORING_STORE", str(tmp_path))
    assert Store().root == tmp_path
    assert Store().names() == []


def test_what_systems_leave_in_a_store_plays_no_part(store: Store) -> None:
    for folder in (store.root, store.root / "diving"):
        for name in (".DS_Store", "._diving", "Thumbs.db", "٣", "01", "0", "2 copy", "2_0"):
            (folder / name).write_bytes(b"x")
        for name in ("@eaDir", "lost+found", ".Trash-0", "__MACOSX", "٤", "03"):
            (folder / name).mkdir()
    assert store.names() == ["diving"]
    assert store.versions("diving") == [1, 2]
    assert store.load("diving").version == 2


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1", 1),
        ("1\r\n", 1),
        ("\ufeff1\n", 1),
        ("1_0", None),
        ("٢", None),
        ("", None),
        ("-1", None),
    ],
)
def test_current_as_people_write_it(store: Store, text: str, version: int | None) -> None:
    (store.root / "diving" / "current").write_text(text)
    if version is None:
        with pytest.raises(CheckpointCorrupt, match="not a version"):
            store.current("diving")
    else:
        assert store.current("diving") == version


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything: be somebody else for a while."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(mine)


@pytest.fixture
def public_store() -> Iterator[Store]:
    """Where others than its owner can get to, too."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        store = Store(Path(folder) / "store")
        publish_tiny(store)
        publish_tiny(store, "vault")
        yield store


@pytest.mark.parametrize(
    "place",
    ["vault/1/weights.safetensors", "vault/1/MANIFEST.sha256", "vault/current", "vault/1", "vault"],
)
def test_what_this_user_may_not_read_is_named_and_costs_itself(
    public_store: Store, place: str
) -> None:
    path = public_store.root / place
    path.chmod(0)
    try:
        with as_nobody():
            with pytest.raises(CheckpointUnreadable, match=f"{path}.* cannot be read: Permission"):
                public_store.load("vault")
            assert public_store.load("diving").version == 1
            assert public_store.names() == ["diving", "vault"]
            unknown = "vault" if place == "vault" else "vault@1"
            assert public_store.references() == ["diving@1", unknown]
    finally:
        path.chmod(0o755)


def test_a_store_that_may_not_be_read_is_named(public_store: Store) -> None:
    public_store.root.chmod(0)
    try:
        with as_nobody(), pytest.raises(CheckpointUnreadable, match=str(public_store.root)):
            public_store.names()
    finally:
        public_store.root.chmod(0o755)


def test_the_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(CheckpointUnreadable("/store/x", "Permission denied")))
    assert str(error) == "/store/x cannot be read: Permission denied"
    assert error.reason == "Permission denied"


@contextlib.contextmanager
def private_umask() -> Iterator[None]:
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("installed", [False, True])
def test_others_may_read_what_is_published(installed: bool) -> None:
    """By the strictest umask, in a store that is not there yet; and others really read it."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        store = Store(Path(place) / "new" / "store")
        with private_umask():
            if installed:
                store.add_from(Store(SHIPPED))
            else:
                publish_tiny(store)
        for path in (Path(place) / "new").rglob("*"):
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
        with as_nobody():
            assert store.load("diving").sha256


def test_folders_that_are_there_keep_their_mode(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o750)
    with private_umask():
        publish_tiny(Store(tmp_path / "store"))
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o750


def test_a_version_that_appears_meanwhile_is_not_touched(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.load("diving@2").sha256
    monkeypatch.setattr(store, "next_version", lambda name: 2)
    with pytest.raises(CheckpointExists, match="diving@2 is already published"):
        publish_tiny(store, seed=2)
    assert store.load("diving@2").sha256 == before
    assert not list((store.root / "diving").glob(".*"))


def install_again(root: Path, shipped: Path, rounds: int, together: Barrier) -> None:
    for number in range(rounds):
        together.wait(60)
        store = Store(root / str(number))
        store.add_from(Store(shipped))
        assert store.references() == ["diving@1", "diving@2"]
        assert store.current("diving") == 2


def test_two_that_install_at_once_both_succeed(
    store: Store, tmp_path_factory: pytest.TempPathFactory
) -> None:
    together, root = CONTEXT.Barrier(2), tmp_path_factory.mktemp("installed")
    processes = [
        CONTEXT.Process(target=install_again, args=(root, store.root, 20, together))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
