from pathlib import Path

import pytest
from pydantic import ValidationError

from service.cpus import usable_cpus
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


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_a_container_has_the_cpus_of_its_quota(
    tmp_path: Path, files: dict[str, str], cpus: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    without_quota = usable_cpus(tmp_path / "nothing")
    assert usable_cpus(tmp_path) == (without_quota if cpus is None else cpus)
