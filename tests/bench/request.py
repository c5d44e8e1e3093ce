"""One request to an idle server, from the first byte sent to the last one read."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from model_store.clip import load_clip
from model_store.engines import make_engine
from model_store.store import Store
from service.machine import usable_cpus
from tests.bench.bench import Bench
from tests.bench.decode import CLIPS
from tests.bench.dives import dives
from tests.bench.load import Endpoint
from tests.bench.peers.decoders import decode_only
from tests.bench.results import at_most, timed
from tests.bench.servers import service


def run(bench: Bench) -> None:
    """Against decoding alone (no scaling) and then the engine, in one process."""
    bench.progress("request: making clips, starting the server")
    checkpoint = Store().load("diving")
    clips = {
        "320×240": dives(bench.folder)[0],
        "1280×720": CLIPS["H.264 1280×720"].read(bench.folder),
        "1920×1080": CLIPS["H.264 1920×1080"].read(bench.folder),
    }
    engine = make_engine(
        checkpoint.stored, name="openvino", threads=usable_cpus(), cache=bench.folder / "cache"
    )

    def floor(clip: bytes, prepared: NDArray[np.uint8]) -> None:
        decode_only(clip)
        engine.score(prepared[None])

    with service(bench.folder) as process:
        endpoint = Endpoint(f"{process.url}/score")
        for size, clip in clips.items():
            connection = endpoint.connect()
            timings = bench.compare(
                f"request, {size}",
                {
                    "ours": partial(endpoint.score, connection, clip),
                    "floor": partial(floor, clip, load_clip(clip, checkpoint.spec)),
                },
                budget_s=15,
            )
            connection.close()
            bench.results.rows.append(
                timed(
                    "request", f"idle server, one clip of {size}", "decode only + engine",
                    timings["ours"], timings["floor"], at_most(1.25),
                )
            )  # fmt: skip
