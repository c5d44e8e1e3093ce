"""The measuring itself: order, ratios, verdicts, exit codes, what is written."""

import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.bench import history, report
from tests.bench.__main__ import STAGES, stage
from tests.bench.footage import Footage, repeated
from tests.bench.history import Entry
from tests.bench.latency import TIMEOUT_S, poisson, waits
from tests.bench.load import Answer
from tests.bench.measure import Ratio, Timings, interleaved, quartiles
from tests.bench.overload import DEADLINE_S, in_time, p95
from tests.bench.peers.decoders import decode_only
from tests.bench.results import (
    MISSED,
    PASSED,
    UNMEASURED,
    Results,
    Row,
    Target,
    Verdict,
    at_least,
    at_most,
    timed,
    why_absent,
)  # fmt: skip


def row(ratio: float | None, *, target: Target | None = None, **others: Any) -> Row:
    found = None if ratio is None else Ratio.single(ratio)
    return Row(
        stage="s", case="c", peer="p", unit="ms", ratio=found, target=target or at_most(1), **others
    )


def test_contenders_take_turns_and_nobody_is_always_first() -> None:
    calls: list[str] = []
    clock = itertools.count().__next__
    taken = interleaved(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")},
        budget_s=0, fewest=3, warm_ups=1, clock=clock,
    )  # fmt: skip
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"
    assert {name: len(timings.seconds) for name, timings in taken.items()} == {"a": 3, "b": 3}


def test_the_budget_ends_the_rounds() -> None:
    clock = itertools.count().__next__  # a second a look

    def rounds(**options: Any) -> int:
        return len(interleaved({"a": lambda: None}, fewest=1, clock=clock, **options)["a"].seconds)

    assert 5 < rounds(budget_s=30) < 30
    assert rounds(budget_s=1e9, most=4) == 4


def test_what_a_contender_leaves_to_be_ended_is_not_timed() -> None:
    now, ended = [0.0], []

    def start() -> Callable[[], None]:
        now[0] += 1.0

        def end() -> None:
            now[0] += 100.0
            ended.append(now[0])

        return end

    taken = interleaved({"a": start}, budget_s=0, fewest=3, warm_ups=1, clock=lambda: now[0])
    assert taken["a"].seconds == (1.0, 1.0, 1.0)
    assert len(ended) == 4


def test_arrivals_at_random_are_as_many_as_the_rate_says_and_the_same_each_time() -> None:
    moments = poisson(10.0, 200.0, seed=0)
    assert moments == poisson(10.0, 200.0, seed=0) != poisson(10.0, 200.0, seed=1)
    gaps = np.diff([0.0, *moments])
    assert len(moments) == 2000
    assert gaps.mean() == pytest.approx(0.1, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)  # as of the exponential distribution


def test_a_request_without_a_score_waited_as_long_as_it_could() -> None:
    assert waits([Answer(200, 0.5), Answer(503, 0.1)]) == [0.5, TIMEOUT_S]


def entry(ratio: float, **others: str) -> Entry:
    given = {"date": "2026-11-01", "commit": "a", "machine": "m", "stage": "s", "case": "c",
             "against": "p", "target": "≤ 1", "verdict": "pass"}  # fmt: skip
    return Entry(ratio=ratio, **given | others)


def test_the_history_keeps_every_run_and_shows_what_moved(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    history.append([entry(0.5), entry(0.9, case="same"), entry(9.0, machine="other")], file)
    history.append(
        [
            entry(0.56, commit="b", against="p, another variant"),
            entry(0.98, commit="b", case="same"),
            entry(1.0, commit="b", case="new"),
        ],
        file,
    )
    entries = history.read(file)
    assert [each.ratio for each in entries] == [0.5, 0.9, 9.0, 0.56, 0.98, 1.0]
    [(before, now)] = history.moved(entries)
    assert (before.ratio, now.ratio) == (0.5, 0.56)
    missed = [*entries, entry(1.01, commit="c", case="same", verdict="miss")]
    assert [(old.ratio, new.ratio) for old, new in history.moved(missed)] == [(0.98, 1.01)]
    assert history.moved(entries, machine="other") == []
    assert history.met_before(entries, missed[-1:]) == [
        "s, same, p: met with 0.98 on 2026-11-01, m"
    ]
    assert history.met_before(entries, entries) == []


def test_ratio_is_of_medians_and_spread_of_rounds() -> None:
    ratio = Ratio.of(Timings((1, 2, 30)), Timings((2, 4, 4)))
    assert ratio.value == 2 / 4
    assert (ratio.low, ratio.high) == quartiles([0.5, 0.5, 7.5])
    assert quartiles([3.0]) == (3.0, 3.0)


def test_rounds_must_match() -> None:
    with pytest.raises(ValueError, match="zip"):
        Ratio.of(Timings((1, 2)), Timings((1,)))


def test_verdicts() -> None:
    assert row(1.0).verdict is Verdict.PASS
    assert row(1.001).verdict is Verdict.MISS
    assert row(0.9, target=at_least(0.85)).verdict is Verdict.PASS
    assert row(0.8, target=at_least(0.85)).verdict is Verdict.MISS
    assert row(None, absent="not installed").verdict is Verdict.ABSENT
    shown = Row(stage="s", case="c", peer="p", unit="ms", ratio=Ratio.single(5))
    assert shown.verdict is Verdict.SHOWN


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([row(0.5), row(1.0)], PASSED),
        ([row(0.5), row(1.1)], MISSED),
        ([row(1.1), row(None)], MISSED),
        ([row(0.5), row(None)], UNMEASURED),
        ([row(0.5), row(None, optional=True)], PASSED),
    ],
)
def test_exit_code(rows: list[Row], code: int) -> None:
    assert Results(rows=rows).exit_code == code


def test_a_stage_that_broke_is_no_success() -> None:
    results = Results(broken=["decode"])
    assert results.exit_code == 1
    assert "broken off: decode" in report.summary(results)


def test_answers_count_only_in_time() -> None:
    answers = [
        Answer(200, 1.0),
        Answer(200, DEADLINE_S),
        Answer(200, DEADLINE_S + 1),
        Answer(429, 0.1),
        Answer(0, 0.1),
    ]
    assert in_time(answers) == [1.0, DEADLINE_S]
    assert p95([float(n) for n in range(101)]) == 95.0
    assert p95([]) == DEADLINE_S


def test_report(tmp_path: Path) -> None:
    ours, theirs = Timings((0.1, 0.1, 0.2)), Timings((0.2, 0.2, 0.2))
    results = Results(
        rows=[
            timed("decode", "a clip", "peer", ours, theirs, at_most(0.4)),
            row(None, absent="why"),
        ],
        peers={"peer": "its options"},
    )
    about = report.machine()
    written = json.loads(report.to_json(results, about))
    assert written["rows"][0]["ratio"]["value"] == pytest.approx(0.5)
    assert [each["verdict"] for each in written["rows"]] == ["miss", "absent"]
    assert written["rows"][0]["target"] == "≤ 0.4"
    assert report.table(results).row_count == 2
    page = tmp_path / "README.md"
    page.write_text(f"before\n{report.BEGIN}old\n{report.END}after\n")
    report.write_markdown(page, results, about)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| decode | a clip | peer | 100 ms | 200 ms | 0.50 | 0.50–0.75 | ≤ 0.4 | miss |" in text


def test_why_a_peer_is_absent_names_no_place_of_this_machine() -> None:
    error = OSError("first\nCould not load this library: /a/b/lib.so, see https://a.org/b")
    assert why_absent(error) == "OSError: Could not load this library: …, see https://a.org/b"
    assert why_absent(RuntimeError()) == "RuntimeError: "
    error.__cause__ = ImportError("/a/lib.so: cannot open shared object file")
    assert why_absent(error) == "ImportError: …: cannot open shared object file"


def all_pixels(file: bytes) -> Any:
    with av.open(io.BytesIO(file), "r") as container:
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)])


def test_footage_is_what_it_says(tmp_path: Path) -> None:
    clip = Footage(name="small", frames=20, height=48, width=64)
    file = clip.read(tmp_path)
    assert decode_only(file) == 20
    assert clip.read(tmp_path) == file  # kept
    assert decode_only(repeated(file, 3)) == 60
    first, again = all_pixels(file), all_pixels(repeated(file, 2))
    np.testing.assert_array_equal(again, np.concatenate([first, first]))


def test_every_stage_can_be_run() -> None:
    assert all(callable(stage(name)) for name in STAGES)
