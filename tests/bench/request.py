"""One request to an idle server, from the first byte sent to the last one read."""

from model_store.clip import load_clip
from model_store.engines import make_engine
from model_store.store import Store
from service.machine import usable_cpus
from tests.bench.bench import Bench
from tests.bench.dives import dives
from tests.bench.load import Endpoint
from tests.bench.peers.decoders import decode_only
from tests.bench.results import at_most, timed
from tests.bench.servers import service


def run(bench: Bench) -> None:
    """Against decoding alone (no scaling) and then the engine, in one process."""
    bench.progress("request: making clips, starting the server")
    clip, checkpoint = dives(bench.folder)[0], Store().load("diving")
    engine = make_engine(
        checkpoint.network, name="openvino", threads=usable_cpus(), cache=bench.folder / "cache"
    )
    prepared = load_clip(clip, checkpoint.spec)[None]

    def floor() -> None:
        decode_only(clip)
        engine.score(prepared)

    with service(bench.folder) as process:
        endpoint = Endpoint(f"{process.url}/score")
        connection = endpoint.connect()
        timings = bench.compare(
            "request",
            {"ours": lambda: endpoint.score(connection, clip), "floor": floor},
            budget_s=15,
        )
        connection.close()
    bench.results.rows.append(
        timed(
            "request", "idle server, one dive of 320×240", "decode only + engine",
            timings["ours"], timings["floor"], at_most(1.5),
        )
    )  # fmt: skip
