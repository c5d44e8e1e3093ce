"""Shell scripts, read by ShellCheck."""

import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHELLCHECK = Path(sysconfig.get_path("scripts"), "shellcheck")
SCRIPTS = [ROOT / ".ci/run", *ROOT.glob("docker/*.sh"), *ROOT.glob("training/runs/*.sh")]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_has_no_known_mistake(script: Path) -> None:
    found = subprocess.run(
        [SHELLCHECK, "--severity", "warning", script], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout


def test_mistakes_would_be_found(tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text("#!/bin/bash\ncd elsewhere\nrm -rf *\n")
    found = subprocess.run(
        [SHELLCHECK, "--severity", "warning", script], capture_output=True, text=True
    )
    assert found.returncode == 1
    assert "cd elsewhere || exit" in found.stdout
