"""Exact contributions, all 2^K coalitions: what they cost beside the extractors."""

import torch

from model_store.coalition_head import CoalitionHead
from model_store.contributions import Coalitions
from model_store.engines.parts import Parts
from model_store.network import FragmentNetwork, Head
from model_store.network_spec import COMPACT, PAPER
from model_store.spec import DIVING
from model_store.store import Store
from service.machine import usable_cpus
from tests.bench.bench import Bench
from tests.bench.measure import Timings
from tests.bench.network import paper_fragment, some_clips
from tests.bench.peers.runtimes import openvino_alone
from tests.bench.results import Row, at_most, timed


def run(bench: Bench) -> None:
    shipped = Store().load("diving")
    wide = DIVING.with_size((128, 171), (112, 112))
    torch.manual_seed(0)
    bench.results.rows += [
        _compact(bench, "compact 64×64", shipped.network, 0.4),
        _compact(bench, "compact 112×112", FragmentNetwork(COMPACT, wide).eval(), 0.15),
        _paper(bench),
    ]


def _compact(bench: Bench, case: str, network: FragmentNetwork, bound: float) -> Row:
    bench.progress(f"{case}: converting")
    parts, threads, spec = Parts.of(network), usable_cpus(), network.clip_spec
    clip = torch.from_numpy(some_clips(1, spec.frames, *spec.crop))
    with torch.inference_mode():
        features = parts.extraction(clip).clone()
    timings = bench.compare(
        case,
        {
            "ours": openvino_alone(parts.coalition_head, features, threads),
            "extractors": openvino_alone(parts.extraction, clip, threads),
        },
        budget_s=10,
    )
    return _row(case, timings["ours"], timings["extractors"], bound)


def _paper(bench: Bench) -> Row:
    """Nine extractors of one size run one after the other: one is timed, for nine."""
    case, threads = "paper size", usable_cpus()
    bench.progress(f"{case}: converting")
    coalitions = Coalitions.of(DIVING.fragments)
    head = CoalitionHead(HeadAlone.of_paper_size(), coalitions.shown)
    clip = torch.from_numpy(some_clips(1, DIVING.frames, *DIVING.crop))
    extraction = Parts.of(paper_fragment()).extraction
    timings = bench.compare(
        case,
        {
            "ours": openvino_alone(head, torch.rand(1, *head.blank.shape), threads),
            "an extractor": openvino_alone(extraction, clip, threads),
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
