"""The simulation against queueing theory, and the document against the command."""

import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.bench.capacity import FULLEST, WAIT_S, Device, Plan, command, simulate
from tests.bench.stages import BATCH, Stages

DOCKER = Path(__file__).parents[2] / "docker"
INSTANT = 1e-9  # seconds; a stage that nobody waits for


def exponential(generator: np.random.Generator, seconds: float) -> float:
    return float(generator.exponential(seconds))


def erlang_c(servers: int, load: float) -> float:
    """The share of arrivals that must wait, at `load` = arrival rate × mean service."""
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(load**k / math.factorial(k) for k in range(servers)) + last)


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_one_core_is_an_m_d_1_queue(busy: float) -> None:
    """Pollaczek-Khinchine: the mean wait is busy / (2 (1 − busy)) services."""
    outcome = simulate(
        busy, cores=1, decode_s=1.0, devices=1, batch_s=lambda clips: INSTANT, clips=30_000
    )
    assert outcome.decode_busy == pytest.approx(busy, rel=0.03)
    assert outcome.waits_s.mean() == pytest.approx(busy / (2 * (1 - busy)), rel=0.1)


@pytest.mark.parametrize("cores", [1, 3, 8])
def test_cores_are_an_m_m_c_queue(cores: int) -> None:
    """Erlang C: the mean wait is C / (c − load) services."""
    load = 0.75 * cores
    outcome = simulate(
        load,
        cores=cores,
        decode_s=1.0,
        devices=1,
        batch_s=lambda clips: INSTANT,
        clips=30_000,
        draw=exponential,
    )
    assert outcome.waits_s.mean() == pytest.approx(erlang_c(cores, load) / (cores - load), rel=0.12)


def test_a_device_without_batches_is_an_m_d_1_queue() -> None:
    outcome = simulate(
        0.7, cores=400, decode_s=INSTANT, devices=1, batch_s=lambda clips: clips, most=1,
        clips=30_000,
    )  # fmt: skip
    assert outcome.score_busy == pytest.approx(0.7, rel=0.03)
    assert outcome.waits_s.mean() == pytest.approx(0.7 / 0.6, rel=0.1)


def test_batches_fill_under_load() -> None:
    """More clips arrive than could be scored one by one: only in batches does a device keep up."""

    def batch_s(clips: int) -> float:
        return 0.8 + 0.025 * clips

    quiet, loaded = (
        simulate(rate, cores=400, decode_s=0.1, devices=1, batch_s=batch_s) for rate in (0.1, 7.0)
    )
    assert quiet.batch == pytest.approx(1.05, abs=0.05)
    assert loaded.batch > 6
    assert BATCH / batch_s(BATCH) > 7.0
    assert loaded.late_s < 10


def test_the_document_is_what_the_command_prints() -> None:
    result = CliRunner().invoke(command, ["table", str(DOCKER / "stages.json")])
    assert result.exit_code == 0, result.output
    document = (DOCKER / "CAPACITY.md").read_text()
    assert result.output.strip() in document


def test_a_clip_costs_what_waits_for_it() -> None:
    stages = Stages.read(DOCKER / "stages.json")
    device = Device("GPUs", stages.score_s, hour=0.8)
    plan = Plan.of(1_000, stages, device)
    expected = plan.cores * 0.04 + plan.devices * 0.8  # dollars an hour, for a thousand clips
    assert plan.cost(0.04, device) == pytest.approx(expected)
    assert plan.outcome.late_s <= WAIT_S
    assert plan.outcome.decode_busy <= FULLEST
