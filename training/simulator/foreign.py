"""
Clips that no diving or vault checkpoint should judge: what familiarity is measured against.

Every kind is drawn from a seed. They are different in kind from the simulated routines on purpose,
and nothing is ever trained on them.

Shapes: T frames, H W pixels.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Frames = NDArray[np.uint8]

FRAMES, HEIGHT, WIDTH = 140, 240, 320


def noise(rng: np.random.Generator) -> Frames:
    """Television noise, coarse or fine, grey or in colour."""
    grain = int(rng.integers(1, 16))
    channels = int(rng.choice([1, 3]))
    shape = (FRAMES, HEIGHT // grain + 1, WIDTH // grain + 1, channels)
    small = rng.integers(0, 256, shape, dtype=np.uint8)
    fine = small.repeat(grain, axis=1).repeat(grain, axis=2)[:, :HEIGHT, :WIDTH]
    return np.broadcast_to(fine, (FRAMES, HEIGHT, WIDTH, 3))


def plasma(rng: np.random.Generator) -> Frames:
    """Slow waves of colour, as a screen saver."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] / HEIGHT
    frames = np.empty((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    kx, ky, speed, phase = rng.uniform(-12, 12, (4, 3))
    for t in range(FRAMES):
        wave = np.sin(x[..., None] * kx + y[..., None] * ky + speed * t / 60 + phase)
        frames[t] = 127.5 + 127.5 * wave
    return frames


def drawn(draw: Callable[[ImageDraw.ImageDraw, int], None], background: tuple[int, ...]) -> Frames:
    """Frames drawn one by one with Pillow."""
    frames = np.empty((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    for t in range(FRAMES):
        image = Image.new("RGB", (WIDTH, HEIGHT), background)
        draw(ImageDraw.Draw(image), t)
        frames[t] = np.asarray(image)
    return frames


def colour(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(map(int, rng.integers(0, 256, 3)))


def cartoon(rng: np.random.Generator) -> Frames:
    """Flat shapes with outlines that bounce about."""
    shapes = [
        (rng.uniform(20, 200, 2), rng.uniform(-5, 5, 2), rng.uniform(10, 60), colour(rng))
        for _ in range(int(rng.integers(2, 9)))
    ]

    def bounce(start: float, speed: float, t: int, limit: int) -> float:
        return abs((start + speed * t) % (2 * limit) - limit)

    def draw(canvas: ImageDraw.ImageDraw, t: int) -> None:
        for i, (start, speed, size, fill) in enumerate(shapes):
            x = bounce(start[0], speed[0], t, WIDTH)
            y = bounce(start[1], speed[1], t, HEIGHT)
            box = (x - size, y - size, x + size, y + size)
            (canvas.ellipse if i % 2 else canvas.rectangle)(box, fill, (0, 0, 0), 3)

    return drawn(draw, colour(rng))


def screen(rng: np.random.Generator) -> Frames:
    """A scrolling page of text in a window, with a cursor."""
    lines = ["".join(map(chr, rng.integers(97, 123, int(rng.integers(5, 50))))) for _ in range(120)]
    dark = bool(rng.integers(2))
    ink, paper = ((220, 220, 220), (25, 25, 35)) if dark else ((20, 20, 20), (250, 250, 250))
    speed, size = float(rng.uniform(0.2, 4)), int(rng.integers(9, 18))
    font = ImageFont.load_default(size)

    def draw(canvas: ImageDraw.ImageDraw, t: int) -> None:
        for i, line in enumerate(lines):
            y = (i * size * 1.4 - speed * t) % (len(lines) * size * 1.4)
            if y < HEIGHT:
                canvas.text((12, y), line, ink, font)
        canvas.rectangle((0, 0, WIDTH, 14), (90, 110, 160))
        canvas.rectangle((60 + t, 100, 64 + t, 108), (255, 80, 80))

    return drawn(draw, paper)


def title(rng: np.random.Generator) -> Frames:
    """Title cards that fade in and out."""
    words = ["".join(map(chr, rng.integers(65, 91, int(rng.integers(3, 12))))) for _ in range(3)]
    background, ink = colour(rng), colour(rng)
    font = ImageFont.load_default(36)

    def draw(canvas: ImageDraw.ImageDraw, t: int) -> None:
        shown = abs(np.sin(t / FRAMES * 3 * np.pi))
        fill = tuple(int(b + (i - b) * shown) for b, i in zip(background, ink, strict=True))
        word = words[t * 3 // FRAMES]
        canvas.text((40, 90), word, fill, font)

    return drawn(draw, background)


def bars(rng: np.random.Generator) -> Frames:
    """A test pattern with a moving block."""
    colours = [colour(rng) for _ in range(int(rng.integers(4, 12)))]
    step = WIDTH / len(colours)

    def draw(canvas: ImageDraw.ImageDraw, t: int) -> None:
        for i, fill in enumerate(colours):
            canvas.rectangle((i * step, 0, (i + 1) * step, HEIGHT), fill)
        canvas.rectangle((2 * t, 200, 2 * t + 30, 230), (255, 255, 255))

    return drawn(draw, (0, 0, 0))


def photograph(rng: np.random.Generator) -> Frames:
    """A camera that pans and zooms over a photograph, as documentaries do."""
    from sklearn.datasets import load_sample_image

    picture = Image.fromarray(load_sample_image(str(rng.choice(["china.jpg", "flower.jpg"]))))
    if rng.integers(2):
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    begin, end = rng.uniform(0, 1, (2, 2))
    zooms = rng.uniform(0.25, 0.75, 2)
    frames = np.empty((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    for t, share in enumerate(np.linspace(0, 1, FRAMES)):
        zoom = zooms[0] + (zooms[1] - zooms[0]) * share
        width, height = picture.width * zoom, picture.width * zoom * HEIGHT / WIDTH
        height = min(height, picture.height)
        left, top = (begin + (end - begin) * share) * (
            picture.width - width,
            picture.height - height,
        )
        box = (left, top, left + width, top + height)
        frames[t] = np.asarray(picture.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box))
    return frames


KINDS: dict[str, Callable[[np.random.Generator], Frames]] = {
    kind.__name__: kind for kind in (noise, plasma, cartoon, screen, title, bars, photograph)
}


def foreign_clip(seed: int, index: int) -> tuple[str, Frames]:
    """Clip `index` of a seed: its kind, and (T, H, W, 3) uint8."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, index]))
    kind = list(KINDS)[index % len(KINDS)]
    return kind, KINDS[kind](rng)


def write_foreign(out: Path, clips: int, seed: int) -> list[Path]:
    """Encode foreign clips to `out`; their paths."""
    from training.simulator.video import write_video

    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(clips):
        kind, frames = foreign_clip(seed, index)
        paths.append(out / f"{index:04d}-{kind}.mp4")
        write_video(paths[-1], frames)
    return paths
