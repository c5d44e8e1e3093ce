"""A contact sheet: clips in rows, time in columns, labelled with score, faults and stages."""

import textwrap
from pathlib import Path

from PIL import Image, ImageDraw

from training.simulator.clip import SimulatedClip, simulate_clip
from training.simulator.dataset import RUNGS, draw_ladder
from training.simulator.looks import HEIGHT, WIDTH, Style

ROWS, COLUMNS = 12, 10
_THUMB = (WIDTH // 2, HEIGHT // 2)
_LABEL = 150  # pixels of text to the left of a row
_LABEL_LETTERS = 24  # in a line of it


def write_sheet(
    path: Path,
    action: str,
    seed: int,
    *,
    first: int = 0,
    clips: int = ROWS,
    pairs: bool = False,
    style: Style = "plain",
) -> None:
    """At most 12 clips of a seed, from `first` on; a ladder takes four rows."""
    shown: list[tuple[str, SimulatedClip, list[int]]] = []
    for index in range(first, first + min(clips, ROWS // (1 + RUNGS) if pairs else ROWS)):
        if pairs:
            wrong, *faults = draw_ladder(action, seed, index)
            for number, given in enumerate(faults):
                clip = simulate_clip(action, seed, index, faults=given, style=style)
                title = f"{'with' if number else 'without'} {wrong.kind}"
                shown.append((title, clip, clip.plan.moments(COLUMNS)))
        else:
            clip = simulate_clip(action, seed, index, style=style)
            shown.append(("", clip, clip.plan.moments(COLUMNS)))
    width, height = _THUMB
    sheet = Image.new("RGB", (_LABEL + COLUMNS * width, len(shown) * height), (24, 24, 28))
    pen = ImageDraw.Draw(sheet)
    for row, (title, clip, moments) in enumerate(shown):
        pen.multiline_text((6, row * height + 6), _about(title, clip), fill=(230, 230, 230))
        for column, t in enumerate(moments):
            corner = (_LABEL + column * width, row * height)
            sheet.paste(Image.fromarray(clip.frames[t]).resize(_THUMB), corner)
            pen.text((corner[0] + 3, corner[1] + 1), _part(clip, t), fill=(255, 240, 120))
    sheet.save(path)


def _part(clip: SimulatedClip, t: int) -> str:
    names = [name for name, frames in clip.plan.parts.items() if t in frames]
    return " ".join([*names, str(t)])


def _about(title: str, clip: SimulatedClip) -> str:
    plan = clip.plan
    faults = [f"{kind} {s:.2f}" for kind, s in plan.severities.items() if s]
    head = textwrap.wrap(f"#{plan.index} {plan.title} {plan.score:.2f}", _LABEL_LETTERS)
    return "\n".join([*([title] if title else []), *head, *faults])
