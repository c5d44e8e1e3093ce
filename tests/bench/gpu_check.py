"""
`python -m tests.bench.gpu_check`: shipped checkpoints on a GPU, and a service that scores with it.

Prints how far scores and contributions are from float32 on the CPU; exit code 1 where scores are
too far, or where the service does not answer by that engine. `--engine torch` rehearses it on a
CPU.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from model_store.clip import load_clip
from model_store.engines import EngineName, make_engine
from model_store.store import Store
from tests.bench.load import Endpoint
from tests.bench.servers import service

DEMOS = Path(__file__).parents[2] / "service/web/demo"
SHIPPED = {"diving": DEMOS / "dive.mp4", "vault": DEMOS / "vault.mp4"}
NOISE = 2  # clips of random pixels beside the others


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu_check")
    parser.add_argument("--engine", default="cuda", choices=("cuda", "torch", "openvino"))
    parser.add_argument("--clips", type=Path, help="a folder of further dives")
    parser.add_argument("--most", type=int, default=16, help="of them; %(default)s")
    options = parser.parse_args()
    further = sorted(options.clips.glob("*.mp4"))[: options.most] if options.clips else []
    close = [
        agrees(name, options.engine, [demo, *(further if name == "diving" else [])])
        for name, demo in SHIPPED.items()
    ]
    return int(not (all(close) and answers(options.engine)))


def agrees(name: str, engine: EngineName, paths: list[Path]) -> bool:
    checkpoint = Store().load(name)
    spec, random = checkpoint.spec, np.random.default_rng(0)
    clips = [load_clip(path, spec) for path in paths]
    clips += [random.integers(256, size=clips[0].shape, dtype=np.uint8) for _ in range(NOISE)]
    batch = np.stack(clips)
    tested = make_engine(checkpoint.stored, name=engine)
    ours = tested.score(batch).contributions
    tested.close()
    reference = make_engine(checkpoint.stored, name="torch").score(batch).contributions
    pairs = list(zip(ours, reference, strict=True))
    score = max(float(np.abs(a.score - b.score).max()) for a, b in pairs)
    part = max(float(np.abs(a.contribution - b.contribution).max()) for a, b in pairs)
    allowed = tested.runtime.tolerance
    print(
        f"{name}: {len(batch)} clips, {tested.name} from float32: scores {score:.4f} points"
        f" (allowed {allowed}), contributions {part:.4f}",
        flush=True,
    )
    return score <= allowed


def answers(engine: EngineName) -> bool:
    """Whether a service on this engine scores a clip, and says that it did so by it."""
    clip = SHIPPED["diving"].read_bytes()
    with tempfile.TemporaryDirectory() as folder, service(Path(folder), engine=engine) as process:
        endpoint = Endpoint(f"{process.url}/score")
        connection = endpoint.connect()
        status, body = endpoint.post(connection, clip)
        connection.close()
        answer = json.loads(body)
    used = answer.get("checkpoint", {}).get("engine")
    print(
        f"service: status {status}, engine {used}, score {answer.get('score')},"
        f" {answer.get('timings_ms')} ms",
        flush=True,
    )
    return status == 200 and used == engine


if __name__ == "__main__":
    sys.exit(main())
