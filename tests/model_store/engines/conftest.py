"""A small network, and a folder for its converted form."""

import dataclasses
from pathlib import Path

import pytest

from model_store.network import FragmentNetwork
from model_store.spec import VAULT, ClipSpec
from tests.checkpoints import TINY, tiny_network, tiny_spec


@pytest.fixture(scope="module")
def spec() -> ClipSpec:
    return dataclasses.replace(tiny_spec("vault"), start=VAULT.slack)


@pytest.fixture(scope="module")
def network(spec: ClipSpec) -> FragmentNetwork:
    """With both outputs, and a line for each, and for each of another kind of clips."""
    shape = dataclasses.replace(TINY, target="both", readout=True, other_kind=True)
    return tiny_network(spec, shape, seed=2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")
