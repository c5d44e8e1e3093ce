"""The values that some options may have; without PyTorch and NumPy, so that `--help` is quick."""

from enum import StrEnum
from typing import Literal

import typer

from model_store.number import number

Preset = Literal["compact", "paper", "paper-literal"]
Schedule = Literal["steps", "cosine"]
Teach = Literal["judged", "known"]
Precision = Literal["auto", "float32", "bfloat16"]
LossTerms = Literal["mse", "ranking", "both"]
Alpha = float | Literal["balance"]


class Kind(StrEnum):
    """How the folder of a data set is laid out."""

    annotations = "annotations"
    unlv_dive = "unlv-dive"
    unlv_vault = "unlv-vault"
    mit_skate = "mit-skate"
    aqa7_diving = "aqa-7-diving"
    aqa7_vault = "aqa-7-vault"
    aqa7_ski = "aqa-7-ski"
    aqa7_snowboard = "aqa-7-snowboard"
    aqa7_sync_3m = "aqa-7-sync-3m"
    aqa7_sync_10m = "aqa-7-sync-10m"
    mtl_aqa = "mtl-aqa"
    finediving = "finediving"
    archive = "archive"
    ucf101 = "ucf-101"


MARGIN = 2.0  # points; δ of [Li18] eq. 2


def alpha_of(text: str) -> Alpha:
    """Raises typer.BadParameter."""
    if text == "balance":
        return "balance"
    try:
        return number(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}, need a number or balance") from error
