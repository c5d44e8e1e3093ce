"""A plain FastAPI handler with torch eager, as a tutorial has it: scores alone, no contributions.

Our decoder, one process; FastAPI runs the handler on its threads, torch uses all CPUs.
"""

import json
import os
import sys

import torch
import uvicorn
from fastapi import FastAPI, UploadFile

from model_store.clip import load_clip
from model_store.store import Store
from tests.bench.peers.runtimes import torch_eager

app = FastAPI()
options = json.loads(sys.argv[1])
checkpoint = Store().load("diving")
predict = torch_eager(checkpoint.network, options["threads"])


@app.get("/health")
def health() -> str:
    return "ok"


@app.post("/score")
def score(clip: UploadFile) -> dict[str, float]:
    torch.set_num_threads(options["threads"])  # it counts by thread of the pool
    frames = load_clip(clip.file.read(), checkpoint.spec)
    return {"score": float(predict(frames[None])[0])}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
