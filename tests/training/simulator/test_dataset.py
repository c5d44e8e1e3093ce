import csv
import hashlib
import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from training.simulator import dataset
from training.simulator.command import simulate
from training.simulator.dataset import draw_ladder, write_dataset
from training.simulator.faults import FAULTS, fault
from training.simulator.plan import draw_plan


def digest(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def rows(annotations: Path) -> list[dict[str, str]]:
    with annotations.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def vaults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "vault"
    write_dataset("vault", 3, 5, folder, first=40, test_share=0.34, workers=1)
    return folder


def test_the_folder_holds_what_annotations_list(vaults: Path) -> None:
    table = rows(vaults / "annotations.csv")
    assert [row["clip"] for row in table] == [f"clips/0000{i}.mp4" for i in range(3)]
    assert [row["split"] for row in table] == ["train", "train", "test"]
    assert [row["index"] for row in table] == ["40", "41", "42"]
    for row in table:
        plan = draw_plan("vault", 5, int(row["index"]))
        assert float(row["score"]) == pytest.approx(
            float(row["difficulty"]) + float(row["execution"]), abs=1e-3
        )
        assert float(row["score"]) == plan.score
        assert row["stage_starts"].split()[0] == "0"
        lost = sum(float(row[f"deduction_{stage}"]) for stage in plan.deductions)
        assert lost == pytest.approx(plan.perfect_score - plan.true_score, abs=1e-3)


def test_clips_are_what_cameras_make(vaults: Path) -> None:
    for row in rows(vaults / "annotations.csv"):
        with av.open(str(vaults / row["clip"])) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert (stream.width, stream.height, stream.pix_fmt) == (320, 240, "yuv420p")
            assert stream.average_rate == 30
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        track = np.load(vaults / row["clip"].replace("clips", "tracks").replace("mp4", "npz"))
        assert len(frames) == int(row["frames"]) == len(track["joints"]) == len(track["state"])
        assert track["state"].shape[1] == len(track["state_names"])
        assert np.std(frames[0]) > 10


def test_an_interrupted_folder_is_completed_to_the_same_bytes(vaults: Path, tmp_path: Path) -> None:
    folder, whole = tmp_path / "again", digest(vaults)
    shutil.copytree(vaults, folder)
    (folder / "annotations.csv").unlink()
    (folder / "clips/00001.mp4").unlink()
    (folder / "tracks/00002.npz").unlink()
    (folder / "clips/.00001.mp4-0.partial").write_bytes(b"half")  # as a killed process leaves it
    write_dataset("vault", 3, 5, folder, first=40, test_share=0.34, workers=2)
    assert digest(folder) == whole


def test_a_folder_of_something_else_is_refused(vaults: Path, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match=r"'seed': 5.*'seed': 6"):
        write_dataset("vault", 3, 6, vaults, first=40, test_share=0.34)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="something else"):
        write_dataset("vault", 1, 0, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_the_style_belongs_to_the_folder(tmp_path: Path) -> None:
    write_dataset("diving", 1, 5, tmp_path / "plain", workers=1)
    write_dataset("diving", 1, 5, tmp_path / "broadcast", workers=1, style="broadcast")
    plain, broadcast = (tmp_path / name / "clips/00000.mp4" for name in ("plain", "broadcast"))
    assert plain.read_bytes() != broadcast.read_bytes()
    with pytest.raises(FileExistsError, match="broadcast"):
        write_dataset("diving", 1, 5, tmp_path / "broadcast", workers=1)


def test_an_action_without_the_style_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vault is not simulated as broadcast"):
        write_dataset("vault", 1, 5, tmp_path / "vault", style="broadcast")
    assert not (tmp_path / "vault").exists()
    app = typer.Typer()
    app.command()(simulate)
    words = ["--action", "vault", "--style", "broadcast", "--out", str(tmp_path / "vault")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "vault is not simulated as broadcast" in " ".join(result.output.split())


def test_pairs_differ_in_one_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "render", lambda *_: None)  # annotations need no picture
    table = rows(write_dataset("vault", 20, 7, tmp_path / "pairs", pairs=True, workers=1))
    assert len(table) == 80
    for first in range(0, 80, 4):
        clean, *faulty = table[first : first + 4]
        kind = f"fault_{clean['fault']}"
        assert clean["role"] == "clean"
        assert clean["stage"] == fault(FAULTS["vault"], clean["fault"]).stage
        for each in faulty:
            assert (each["role"], each["pair"]) == ("faulty", clean["pair"])
            kinds = [name for name in clean if name.startswith("fault_")]
            assert [name for name in kinds if clean[name] != each[name]] == [kind]
        mild, middling, grave = (float(each[kind]) for each in faulty)
        assert 0.15 <= mild <= 0.4334 <= middling <= 0.7167 <= grave <= 1
        scores = [float(each["true_score"]) for each in (clean, *faulty)]
        assert scores == sorted(scores, reverse=True)
        assert len({*scores}) == 4


def test_a_ladder_is_rendered_without_its_fault_and_with_it(tmp_path: Path) -> None:
    table = rows(write_dataset("vault", 1, 7, tmp_path / "pairs", pairs=True, workers=1))
    shown, videos = [], []
    for row in table:
        video = tmp_path / "pairs" / row["clip"]
        track = np.load(tmp_path / "pairs" / "tracks" / f"{video.stem}.npz")
        fault_at = track["state_names"].tolist().index(f"fault_{row['fault']}")
        shown.append(np.nanmax(track["state"][:, fault_at]))
        videos.append(video.read_bytes())
    severities = [float(row[f"fault_{row['fault']}"]) for row in table]
    assert shown[0] == severities[0] == 0
    np.testing.assert_allclose(shown, severities, atol=1e-3)
    assert len({*videos}) == 4


def test_pairs_cover_every_kind() -> None:
    drawn = {draw_ladder("diving", 0, i)[0].kind for i in range(200)}
    assert len(drawn) == 9


def test_the_command_makes_sheet_and_folder(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(simulate)
    sheet, out = tmp_path / "sheet.png", tmp_path / "set"
    arguments = ["--action", "vault", "--clips", "1", "--sheet", str(sheet), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "simulation.json").read_text())["clips"] == 1
    assert CliRunner().invoke(app, []).exit_code == 2
    again = CliRunner().invoke(app, ["--action", "diving", "--clips", "1", "--out", str(out)])
    assert again.exit_code == 2
