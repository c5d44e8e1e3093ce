import pytest

from model_store.spec import SPECS, ClipSpec


@pytest.fixture
def small() -> ClipSpec:
    """Diving at 32×32 pixels: the size of `tests.clips.numbered`, so that nothing is scaled."""
    return SPECS["diving"].with_size((32, 32), (32, 32))
