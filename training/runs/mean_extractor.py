"""
One extractor out of those of a checkpoint, to go on from.

    python -m training.runs.mean_extractor STORE CHECKPOINT OUT.safetensors

Each weight is the mean of theirs. They began as copies of one, and were trained apart.
"""

import argparse
from pathlib import Path

from model_store.store import Store
from training.learn.extractor_file import write_extractor
from training.learn.tied import mean_weights


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.runs.mean_extractor")
    parser.add_argument("store", type=Path, metavar="STORE")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="as diving, or diving@4")
    parser.add_argument("out", type=Path, metavar="OUT", help="extractor.safetensors")
    options = parser.parse_args()
    checkpoint = Store(options.store).load(options.checkpoint)
    write_extractor(
        options.out,
        mean_weights(checkpoint.network.extractors),
        checkpoint.spec,
        clips=checkpoint.card.clips,
    )


if __name__ == "__main__":
    main()
