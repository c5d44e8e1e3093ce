"""Ray Serve with our decoder and engine. One JSON argument: cache, replicas, threads, batch.

A FastAPI ingress takes the upload; decoding and scoring are in the replica, in the threads in which
Ray runs its requests, of which one at a time may score. The dashboard is off.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from typing import Any

import ray
from fastapi import FastAPI, UploadFile
from ray import serve

from tests.bench.peers.scoring import Scoring, answer

api = FastAPI()


@serve.deployment(max_ongoing_requests=32, ray_actor_options={"num_cpus": 0.5})
@serve.ingress(api)
class Dives:
    def __init__(self, cache: str, threads: int) -> None:
        self.scoring = Scoring(cache, threads)
        self.turn = threading.Lock()

    @api.post("/score")
    def score(self, clip: UploadFile) -> dict[str, Any]:
        frames = self.scoring.decode(clip.file.read())
        with self.turn:
            return answer(self.scoring.score([frames])[0])


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    options = json.loads(sys.argv[1])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=200_000_000,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    app = Dives.options(  # type: ignore[attr-defined]  # the decorator makes a Deployment
        num_replicas=options["replicas"]
    ).bind(options["cache"], options["threads"])
    serve.run(app)
    try:
        asyncio.run(asyncio.Event().wait())
    finally:
        ray.shutdown()  # its processes are no children of this one


if __name__ == "__main__":
    main()
