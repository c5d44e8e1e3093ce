from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORING_CHECKPOINTS", "diving, vault@2,")
    monkeypatch.setenv("SCORING_API_KEYS", "first-key,second-key")
    monkeypatch.setenv("SCORING_MAX_CLIP_SECONDS", "12.5")
    settings = Settings()
    assert settings.checkpoints == ("diving", "vault@2")
    assert [key.get_secret_value() for key in settings.api_keys] == ["first-key", "second-key"]
    assert settings.clip_limits.max_seconds == 12.5
    assert "first-key" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCH_CLIPS", "0"),
        ("DEADLINE_S", "nan"),
        ("DEADLINE_S", "-1"),
        ("ENGINE", "abacus"),
        ("QUEUE_FRAGMENTS", "many"),
        ("KEEP_ALIVE_S", "0"),
        ("ROOT_PATH", "scorer"),
        ("ROOT_PATH", "/a//b"),
        ("ROOT_PATH", "/a/../b"),
        ("ROOT_PATH", "/score"),
        ("ROOT_PATH", "/a?b"),
        ("ALLOWED_ORIGINS", "judges.example"),
        ("ALLOWED_ORIGINS", "https://judges.example/"),
        ("ALLOWED_ORIGINS", "https://judges.example:443"),
        ("ALLOWED_ORIGINS", "https://Judges.example"),
        ("ALLOWED_ORIGINS", "https://a.example,null"),
        ("ALLOWED_ORIGINS", "https://a.example:b"),
        ("PORT", "65536"),
        ("PORT", "8_000"),
        ("ARCHIVE_DAYS", "-1"),
        ("ARCHIVE_DAYS", "1_0"),
        ("ARCHIVE_BYTES", "0"),
        ("ROOT_PATH", "/clips"),
        ("BATCH_CLIPS", "1_0"),
        ("DEADLINE_S", "1_0.5"),
        ("HOST", ""),
    ],
)
def test_a_setting_that_makes_no_sense_is_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"SCORING_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize("value", ['"abc"', "'abc'", '"abc', 'abc,"def"', ' "abc" ', '"a","b"'])
@pytest.mark.parametrize("name", ["API_KEYS", "STORE", "LOG_LEVEL", "BATCH_CLIPS"])
def test_quotes_that_an_env_file_keeps_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """`docker --env-file` takes them for a part of the value."""
    monkeypatch.setenv(f"SCORING_{name}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    [wrong] = caught.value.errors()
    assert wrong["msg"] == "there are quotes around it, need it without"


def test_every_setting_is_in_the_readme() -> None:
    readme = (Path(__file__).parents[2] / "service/README.md").read_text()
    for name in Settings.model_fields:
        assert f"`SCORING_{name.upper()}`" in readme


def test_a_prefix_and_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, prefix in (("/", ""), ("/scorer/", "/scorer"), ("/meet/scorer", "/meet/scorer")):
        monkeypatch.setenv("SCORING_ROOT_PATH", given)
        assert Settings().root_path == prefix
    for given in ("*", "https://a.example,http://localhost:5173", "http://[::1]:8000"):
        monkeypatch.setenv("SCORING_ALLOWED_ORIGINS", given)
        assert Settings().allowed_origins == tuple(given.split(","))
    monkeypatch.setenv("SCORING_ALLOWED_ORIGINS", "https://judges.example/")
    with pytest.raises(ValidationError, match=r"need https://judges\.example, as"):
        Settings()


def test_there_are_as_many_decoders_as_cpus_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one besides for short clips; two thirds of the memory are for decoders."""
    monkeypatch.setattr("service.settings.usable_cpus", lambda: 4)
    for gibibytes, workers in ((64, 5), (8, 4), (4, 2), (1, 1)):
        monkeypatch.setattr("service.settings.usable_memory", lambda n=gibibytes: n << 30)
        assert Settings().decode_workers == workers
    assert Settings(decode_workers=3).decode_workers == 3
    monkeypatch.setenv("SCORING_DECODE_MEMORY_BYTES", "1")
    with pytest.raises(ValidationError, match="decode_memory_bytes"):
        Settings()
