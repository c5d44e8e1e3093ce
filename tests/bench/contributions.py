"""Exact contributions, all 2^K coalitions: what they cost beside the extractors."""

import dataclasses
from functools import partial

import numpy as np
import torch

from model_store.coalition_head import CoalitionHead
from model_store.contributions import Coalitions
from model_store.engines import make_engine
from model_store.engines.conversion import convert_module
from model_store.engines.openvino_cpu import COMMON, OpenVinoRuntime, infer
from model_store.network import FragmentNetwork, Head
from model_store.network_spec import COMPACT, PAPER
from model_store.spec import DIVING, ClipSpec
from model_store.store import Store
from service.machine import usable_cpus
from tests.bench.bench import Bench
from tests.bench.measure import Timings
from tests.bench.network import paper_fragment, some_clips
from tests.bench.results import Row, at_most, timed


def run(bench: Bench) -> None:
    shipped = Store().load("diving")
    network = shipped.network
    network.network_spec = dataclasses.replace(network.network_spec, views=1)
    wide = DIVING.with_size((128, 171), (112, 112))
    torch.manual_seed(0)
    rows = [
        _compact(bench, "compact 64×64", network, shipped.spec, 0.4),
        _compact(bench, "compact 112×112", FragmentNetwork(COMPACT, wide).eval(), wide, 0.15),
        _paper(bench),
    ]
    bench.results.rows += rows


def _compact(
    bench: Bench, case: str, network: FragmentNetwork, spec: ClipSpec, bound: float
) -> Row:
    bench.progress(f"{case}: converting")
    engine = make_engine(
        network, name="openvino", threads=usable_cpus(), cache=bench.folder / "cache"
    )
    assert isinstance(engine.runtime, OpenVinoRuntime)
    clips = some_clips(1, spec.frames, *spec.crop)
    features = engine.score(clips).features
    timings = bench.compare(
        case,
        {
            "ours": partial(infer, engine.runtime.coalition_head, features),
            "extractors": partial(infer, engine.runtime.extraction, clips),
        },
        budget_s=10,
    )
    return _row(case, timings["ours"], timings["extractors"], bound)


def _paper(bench: Bench) -> Row:
    """Nine extractors of one size run one after the other: one is timed, for nine."""
    import openvino as ov  # not before `openvino_cpu`, which keeps it from reporting its use

    case, threads = "paper size", usable_cpus()
    bench.progress(f"{case}: converting")
    coalitions = Coalitions.of(DIVING.fragments)
    head = CoalitionHead(HeadAlone.of_paper_size(), coalitions.shown)
    features = torch.zeros(1, *head.blank.shape)
    alone = COMMON | {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}
    compiled = ov.Core().compile_model(convert_module(head, features), "CPU", alone)
    extractor = make_engine(
        paper_fragment(), name="openvino", threads=threads, cache=bench.folder / "cache"
    ).runtime
    assert isinstance(extractor, OpenVinoRuntime)
    clips = some_clips(1, DIVING.frames, *DIVING.crop)
    random = np.random.default_rng(0)
    some_features = random.random(features.shape, dtype=np.float32)
    timings = bench.compare(
        case,
        {
            "ours": partial(infer, compiled.create_infer_request(), some_features),
            "an extractor": partial(infer, extractor.extraction, clips),
        },
        budget_s=20,
    )
    each = timings["an extractor"].seconds
    extractors = Timings(tuple(DIVING.fragments * seconds for seconds in each))
    return _row(case, timings["ours"], extractors, 0.10)


class HeadAlone(FragmentNetwork):
    """A network whose extractors are never asked: its blank fragments have features of 0."""

    @classmethod
    def of_paper_size(cls) -> "HeadAlone":
        with torch.device("meta"):  # a gigabyte of extractors
            network = cls(PAPER, DIVING)
        network.head = Head(PAPER, network.feature_shape)
        return network.eval()

    def blank_features(self) -> torch.Tensor:
        return torch.zeros(len(self.used), *self.fragment_feature_shape)


def _row(case: str, ours: Timings, extractors: Timings, bound: float) -> Row:
    return timed("contributions", case, "extractors", ours, extractors, at_most(bound))
