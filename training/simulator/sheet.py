"""A contact sheet: clips in rows, time in columns, labelled with score, faults and stages."""

import itertools
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from training.simulator.clip import SimulatedClip, simulate_clip
from training.simulator.dataset import draw_pair
from training.simulator.looks import HEIGHT, WIDTH

ROWS, COLUMNS = 12, 10
_THUMB = (WIDTH // 2, HEIGHT // 2)
_LABEL = 150  # pixels of text to the left of a row


def write_sheet(
    path: Path, action: str, seed: int, *, first: int = 0, clips: int = ROWS, pairs: bool = False
) -> None:
    """At most 12 clips of a seed, from `first` on; pairs take two rows each."""
    shown: list[tuple[str, SimulatedClip]] = []
    for index in range(first, first + min(clips, ROWS // 2 if pairs else ROWS)):
        if pairs:
            kind, clean, faulty = draw_pair(action, seed, index)
            shown.append((f"without {kind}", simulate_clip(action, seed, index, faults=clean)))
            shown.append((f"with {kind}", simulate_clip(action, seed, index, faults=faulty)))
        else:
            shown.append(("", simulate_clip(action, seed, index)))
    width, height = _THUMB
    sheet = Image.new("RGB", (_LABEL + COLUMNS * width, len(shown) * height), (24, 24, 28))
    pen = ImageDraw.Draw(sheet)
    for row, (title, clip) in enumerate(shown):
        pen.multiline_text((6, row * height + 6), _about(title, clip), fill=(230, 230, 230))
        for column, t in enumerate(_instants(clip)):
            corner = (_LABEL + column * width, row * height)
            sheet.paste(Image.fromarray(clip.frames[t]).resize(_THUMB), corner)
            pen.text((corner[0] + 3, corner[1] + 1), _stage(clip, t), fill=(255, 240, 120))
    sheet.save(path)


def _instants(clip: SimulatedClip) -> list[int]:
    """COLUMNS frames: two within every stage, so that each stage is to be seen."""
    bounds = (*clip.plan.stage_starts, clip.plan.frames)
    each = COLUMNS // len(clip.plan.stage_starts)
    return [
        int(t)
        for begin, end in itertools.pairwise(bounds)
        for t in np.linspace(begin, end, each + 2)[1:-1]
    ]


def _stage(clip: SimulatedClip, t: int) -> str:
    stages = [s for s in clip.plan.deductions if t in clip.plan.stage_range(s)]
    return f"{stages[0]} {t}"


def _about(title: str, clip: SimulatedClip) -> str:
    plan = clip.plan
    faults = [f"{kind} {s:.2f}" for kind, s in plan.severities.items() if s]
    head = f"#{plan.index} {plan.routine.code} {plan.score:.2f}"
    return "\n".join([*([title] if title else []), head, *faults])
