"""
A piece of the world's backdrop as pixels: fills, boxes in perspective, crowds.

A canvas covers the pixels left…right, top…bottom of a view; everything is painted once per shot,
larger than the picture, and the camera then cuts the picture out of it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.simulator.camera import ParallelView, View
from training.simulator.looks import Colour, Pixels


class Canvas:
    def __init__(
        self, view: View, bounds: tuple[int, int, int, int], rng: np.random.Generator
    ) -> None:
        self.view, self.rng = view, rng
        self.left, self.top, right, bottom = bounds
        self.pixels: Pixels = np.zeros((bottom - self.top, right - self.left, 3), np.uint8)

    def quad(self, corners: Sequence[Sequence[float]], colour: Colour) -> None:
        """A convex polygon of world points (n, 3), in order."""
        points = self.view.project(np.array(corners))[:, :2] - (self.left, self.top)
        height, width = self.pixels.shape[:2]
        low = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int)
        high = np.clip(np.ceil(points.max(axis=0)) + 1, 0, (width, height)).astype(int)
        if (high <= low).any():
            return
        x = np.arange(low[0], high[0], dtype=np.float32)
        y = np.arange(low[1], high[1], dtype=np.float32)[:, None]
        following = np.roll(points, -1, axis=0)
        area = np.sum(points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1])
        inside = np.ones((len(y), len(x)), dtype=bool)
        for (px, py), (qx, qy) in zip(points, following, strict=True):
            cross = (qx - px) * (y - py) - (qy - py) * (x - px)
            inside &= cross * np.sign(area) >= 0
        self.pixels[low[1] : high[1], low[0] : high[0]][inside] = _byte(colour)

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        colour: Colour,
    ) -> None:
        """A box in the world: its top, the face towards the camera, and the side that shows."""
        (x0, x1), (y0, y1), (z0, z1) = x, y, z
        end = x0 if self.view.yaw > 0 else x1
        side, front = _scaled(colour, 0.62), _scaled(colour, 0.8)
        self.quad([(end, y0, z0), (end, y1, z0), (end, y1, z1), (end, y0, z1)], side)
        self.quad([(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)], front)
        self.quad([(x0, y1, z0), (x1, y1, z0), (x1, y1, z1), (x0, y1, z1)], colour)


class FlatCanvas(Canvas):
    """Of a view in which a height is a row wherever it is: strips across the whole width."""

    view: ParallelView

    def rows(self, low: float, high: float) -> slice:
        """Rows between two screen heights, in body heights."""
        zoom, size = self.view.zoom, len(self.pixels)
        begin, end = (int(np.clip(round(-h * zoom) - self.top, 0, size)) for h in (high, low))
        return slice(begin, end)

    def columns(self, begin: float, end: float) -> slice:
        zoom, size = self.view.zoom, self.pixels.shape[1]
        first, last = (int(np.clip(round(x * zoom) - self.left, 0, size)) for x in (begin, end))
        return slice(first, last)

    def band(self, low: float, high: float, upper: Colour, lower: Colour) -> None:
        """A strip across the whole width, shaded from upper to lower."""
        rows = self.rows(low, high)
        share = np.linspace(0, 1, max(rows.stop - rows.start, 1))[:, None]
        colours = np.array(upper) * (1 - share) + np.array(lower) * share
        self.pixels[rows] = colours[: rows.stop - rows.start, None].clip(0, 255).astype(np.uint8)

    def block(self, begin: float, end: float, low: float, high: float, colour: Colour) -> None:
        self.pixels[self.rows(low, high), self.columns(begin, end)] = _byte(colour)

    def crowd(self, low: float, high: float, *, seat: Colour, cell: int = 9) -> None:
        """Tiers of spectators: heads over clothes over seats, some of them empty."""
        rows = self.rows(low, high)
        height, width = rows.stop - rows.start, self.pixels.shape[1]
        if height <= 0:
            return
        tiers, seats = height // cell + 1, width // cell + 2
        cloth = self.rng.integers(30, 190, (tiers, seats, 3))
        cloth = (
            0.35 * cloth + 0.4 * cloth.mean(axis=-1, keepdims=True) + 0.25 * np.array(seat)
        ).astype(np.uint8)
        skin = (np.array((200, 160, 130)) * self.rng.uniform(0.45, 0.8, (tiers, seats, 1))).astype(
            np.uint8
        )
        empty = self.rng.random((tiers, seats)) < 0.18
        cloth[empty], skin[empty] = _byte(seat), _byte(seat)
        tile = np.zeros((cell, cell), dtype=np.uint8)  # 0 seat, 1 clothes, 2 head
        tile[cell // 2 :, 1:-1] = 1
        tile[1 : cell // 2 + 1, cell // 3 : cell - cell // 3] = 2
        pattern = np.tile(tile, (tiers, seats))
        big = pattern[..., None] == np.array((1, 2))
        image = np.full((*pattern.shape, 3), _byte(_scaled(seat, 0.7)), np.uint8)
        for layer, colours in enumerate((cloth, skin)):
            spread = colours.repeat(cell, axis=0).repeat(cell, axis=1)
            image = np.where(big[..., layer, None], spread, image)
        shift = int(self.rng.integers(cell))
        self.pixels[rows] = image[:height, shift : shift + width]

    def banners(self, low: float, high: float, palette: Sequence[Colour]) -> None:
        """A row of boards with something like writing on them."""
        edge = self.left / self.view.zoom - self.rng.random()
        end = (self.left + self.pixels.shape[1]) / self.view.zoom
        while edge < end:
            wide = self.rng.uniform(0.9, 2.2)
            ground = palette[int(self.rng.integers(len(palette)))]
            self.block(edge, edge + wide, low, high, ground)
            ink = (240.0, 240.0, 240.0) if sum(ground) < 380 else (30.0, 40.0, 90.0)
            third = (high - low) / 4
            letter = edge + 0.15
            while letter < edge + wide - 0.25:
                step = self.rng.uniform(0.05, 0.16)
                self.block(letter, letter + step * 0.7, low + third, high - third, ink)
                letter += step
            edge += wide + 0.03

    def grain(self, low: float, high: float, strength: float) -> None:
        """Smooth random light and dark across a strip: water, mats, walls."""
        rows = self.rows(low, high)
        height, width = rows.stop - rows.start, self.pixels.shape[1]
        if height <= 0:
            return
        coarse = self.rng.normal(0, strength, (height // 3 + 2, width // 9 + 2))
        fine = coarse.repeat(3, axis=0).repeat(9, axis=1)[:height, :width]
        fine = (fine + np.roll(fine, 4, axis=1)) / 2
        self.pixels[rows] = (self.pixels[rows] + fine[..., None]).clip(0, 255).astype(np.uint8)


def _byte(colour: Colour) -> NDArray[np.uint8]:
    clipped: NDArray[np.uint8] = np.clip(np.array(colour), 0, 255).astype(np.uint8)
    return clipped


def _scaled(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor
