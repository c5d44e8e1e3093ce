import pytest

from model_store.errors import CheckpointCorrupt, CheckpointNotFound
from model_store.store import Store
from tests.checkpoints import publish_tiny


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    publish_tiny(store)
    publish_tiny(store, seed=1)
    return store


def test_a_name_means_the_last_published_until_told_otherwise(store):
    assert store.versions("diving") == [1, 2]
    assert store.load("diving").version == 2
    store.make_current("diving", 1)
    assert store.load("diving").version == 1
    assert store.load("diving@2").version == 2
    assert store.names() == ["diving"]


@pytest.mark.parametrize(
    "reference", ["vault", "diving@3", "diving@", "diving@-1", "../diving", "diving/1", "", "@1"]
)
def test_an_unknown_reference(store, reference):
    with pytest.raises(CheckpointNotFound):
        store.load(reference)


def test_current_cannot_mean_a_version_that_is_not_there(store):
    with pytest.raises(CheckpointNotFound):
        store.make_current("diving", 9)
    (store.root / "diving" / "current").write_text("9\n")
    with pytest.raises(CheckpointCorrupt, match="9"):
        store.load("diving")


def test_a_folder_under_another_name_is_refused(store):
    (store.root / "diving" / "2").rename(store.root / "diving" / "7")
    with pytest.raises(CheckpointCorrupt, match="diving@2"):
        store.load("diving@7")


def test_the_store_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("SCORING_STORE", str(tmp_path))
    assert Store().root == tmp_path
    assert Store().names() == []
