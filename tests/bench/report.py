"""What is made of the results: a table on the terminal, JSON, and Markdown for README.md here."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.table import Table

from service.machine import usable_cpus
from tests.bench.results import Results, Row, Verdict

COLUMNS = ("stage", "case", "against", "ours", "theirs", "ratio", "quartiles", "target", "")
COLOURS = {Verdict.PASS: "green", Verdict.MISS: "red", Verdict.ABSENT: "yellow"}
PACKAGES = (
    "torch", "openvino", "av", "numpy", "fastapi", "uvicorn",
    "decord", "opencv-python-headless", "torchcodec", "onnxruntime", "litserve", "ray",
)  # fmt: skip
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def machine() -> dict[str, Any]:
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "processor": processor(),
        "cpus": usable_cpus(),
        "arithmetic": arithmetic(),
        "load": os.getloadavg()[0],
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": versions,
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def arithmetic() -> str:
    """The widest that the processor multiplies with, which decides more than its name."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return platform.machine()
    kinds = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "asimd")
    return next((kind for kind in kinds if kind in flags), platform.machine())


def to_json(results: Results, about: dict[str, Any]) -> str:
    content = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": about,
        "rows": [row.to_json() for row in results.rows],
        "peers": results.peers,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio.value:.2f}"
    spread = "" if row.ratio is None else f"{row.ratio.low:.2f}–{row.ratio.high:.2f}"
    return (
        row.stage,
        row.case,
        row.peer,
        quantity(row.ours, row.unit),
        row.absent or quantity(row.theirs, row.unit),
        ratio,
        spread,
        "" if row.target is None else str(row.target),
        str(row.verdict),
    )


def quantity(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}"


def table(results: Results) -> Table:
    drawn = Table(*COLUMNS, title="ours against others, ratios of medians")
    before = None
    for row in results.rows:
        if before not in (None, row.stage):
            drawn.add_section()
        before = row.stage
        drawn.add_row(*cells(row), style=COLOURS.get(row.verdict))
    return drawn


def summary(results: Results) -> str:
    counts = {verdict: 0 for verdict in Verdict}
    for row in results.rows:
        counts[row.verdict] += 1
    return (
        f"{counts[Verdict.PASS]} targets met, {counts[Verdict.MISS]} missed,"
        f" {counts[Verdict.ABSENT]} not measured"
        + (f"; broken off: {', '.join(results.broken)}" if results.broken else "")
    )


def markdown(results: Results, about: dict[str, Any], met_before: Sequence[str]) -> str:
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {about['processor']}, {about['cpus']} CPUs,"
        f" {about['arithmetic']},"
        f" load {about['load']:.1f} before; {summary(results)}.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(cells(row)) + " |" for row in results.rows),
        "",
        "How the peers ran:",
        "",
        *(f"* {name}: {configuration}" for name, configuration in results.peers.items()),
        "",
    ]
    if met_before:
        lines += ["Missed here, and met before:", "", *(f"* {line}" for line in met_before), ""]
    return "\n".join(lines)


def write_markdown(
    path: Path, results: Results, about: dict[str, Any], met_before: Sequence[str] = ()
) -> None:
    """Replace what stands between the two marks."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(
        before + BEGIN + "\n" + markdown(results, about, met_before) + "\n" + END + after
    )
