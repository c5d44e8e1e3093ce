"""The values that some options may have; without PyTorch, so that `--help` is quick."""

from typing import Literal

import typer

from model_store.number import number

Preset = Literal["compact", "paper", "paper-literal"]
Schedule = Literal["steps", "cosine"]
Teach = Literal["judged", "known"]
Precision = Literal["auto", "float32", "bfloat16"]
LossTerms = Literal["mse", "ranking", "both"]
Alpha = float | Literal["balance"]

MARGIN = 2.0  # points; δ of [Li18] eq. 2


def alpha_of(text: str) -> Alpha:
    """Raises typer.BadParameter."""
    if text == "balance":
        return "balance"
    try:
        return number(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}, need a number or balance") from error
