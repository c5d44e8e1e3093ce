"""The checkpoints that the service has loaded, verified, and is ready to score with."""

from dataclasses import dataclass

from model_store.assessment import CheckpointIdentity
from model_store.card import Card
from model_store.errors import CheckpointNotFound
from model_store.finding.finder import FOUND_ACTIONS
from model_store.spec import ClipSpec
from service.errors import CheckpointUnusable

DEFAULT_NAME = "diving"  # the default checkpoint, where it is loaded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedCheckpoint:
    """All that is known of a checkpoint in use, wherever its network is."""

    card: Card
    sha256: str
    engine: str
    golden_error: float
    """Points that the golden clip was off."""
    fell_back: bool = False
    """Whether a faster engine should have run it, and failed."""
    current: bool = False
    """Whether the bare name meant this version when the store was last looked at."""

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def reference(self) -> str:
        return f"{self.card.name}@{self.card.version}"

    @property
    def spec(self) -> ClipSpec:
        return self.card.spec

    @property
    def can_find(self) -> bool:
        """Whether its routine can be found in a longer recording."""
        return self.card.action in FOUND_ACTIONS

    @property
    def identity(self) -> CheckpointIdentity:
        return CheckpointIdentity.of(self.card, self.sha256)


class LoadedCheckpoints:
    """By name, which means the current version, and by name@version; and what cannot be loaded."""

    def __init__(self, default: str = DEFAULT_NAME) -> None:
        self._by_reference: dict[str, LoadedCheckpoint] = {}
        self.default = default
        """What a request that names none gets."""
        self.unusable: dict[str, str] = {}
        """By `name@version`, or the name where not even the version is known: what is wrong, in
        words that anybody may read."""

    def add(self, loaded: LoadedCheckpoint) -> None:
        self._by_reference[loaded.reference] = loaded
        if loaded.current or loaded.name not in self._by_reference:
            self._by_reference[loaded.name] = loaded

    def get(self, reference: str) -> LoadedCheckpoint:
        """Raises CheckpointNotFound, CheckpointUnusable."""
        loaded = self._by_reference.get(reference)
        if loaded is None or not loaded.current:  # another version must not answer to the name
            for each in self.unusable:
                if reference in (each, each.partition("@")[0]):
                    raise CheckpointUnusable(each)
        if loaded is None:
            raise CheckpointNotFound(f"unknown; loaded are {', '.join(sorted(self.references()))}")
        return loaded

    def references(self) -> list[str]:
        return [loaded.reference for loaded in self.all()]

    def all(self) -> list[LoadedCheckpoint]:
        unique = {loaded.reference: loaded for loaded in self._by_reference.values()}
        return [unique[reference] for reference in sorted(unique)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadOutcome:
    """What a reload has changed, each as `name@version`."""

    loaded: list[str]
    """New ones."""
    released: list[str]
    """Those that are served no longer."""
