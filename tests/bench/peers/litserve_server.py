"""LitServe with our decoder and engine. One JSON argument: cache, workers, threads, batch, timeout.

The form travels to the worker as LitServe sends it (pickled, over ZeroMQ). Decoding is in the
worker, which is where LitServe has it.
"""

import json
import os
import sys
from typing import Any

import litserve
from fastapi import Request

from model_store.score import Score
from tests.bench.peers.scoring import Clip, Scoring, answer


class DiveAPI(litserve.LitAPI):  # type: ignore[misc]
    options: dict[str, Any]

    def setup(self, device: str) -> None:
        self.scoring = Scoring(self.options["cache"], self.options["threads"])

    def decode_request(self, request: Request) -> Clip:
        form: Any = request  # LitServe has awaited it
        return self.scoring.decode(form["clip"].file.read())

    def predict(self, clip: Any) -> Any:
        return self.scoring.score([clip])[0]

    def encode_response(self, output: Score) -> dict[str, Any]:
        return answer(output)


class BatchedDiveAPI(DiveAPI):
    def predict(self, clips: list[Clip]) -> list[Score]:
        return self.scoring.score(clips)

    def batch(self, inputs: list[Clip]) -> list[Clip]:
        return inputs

    def unbatch(self, output: list[Score]) -> list[Score]:
        return output


def main() -> None:
    options = json.loads(sys.argv[1])
    batch = options["batch"]
    api = BatchedDiveAPI(max_batch_size=batch) if batch > 1 else DiveAPI()
    api.options = options
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        devices=1,
        workers_per_device=options["workers"],
        timeout=options["timeout"],
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )


if __name__ == "__main__":
    main()
