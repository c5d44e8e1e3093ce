"""
A plain FastAPI handler: our decoder, torch eager. One JSON argument: cache, threads.

The same answer as ours, by the torch engine: float32, normalisation folded, channels last. One
process; FastAPI runs the handler on its threads, torch uses all CPUs.
"""

import json
import os
import sys
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI, UploadFile

from tests.bench.peers.scoring import Scoring, answer

app = FastAPI()
options = json.loads(sys.argv[1])
scoring = Scoring(options["cache"], options["threads"], "torch")


@app.get("/health")
def health() -> str:
    return "ok"


@app.post("/score")
def score(clip: UploadFile) -> dict[str, Any]:
    torch.set_num_threads(options["threads"])  # torch counts by calling thread
    return answer(scoring.score([scoring.decode(clip.file.read())])[0])


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    uvicorn.run(app, host="127.0.0.1", port=port, loop="asyncio", log_level="warning")
