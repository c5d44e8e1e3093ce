"""
The camera: where the world lands in the picture, shot by shot.

Cameras know the faultless path (`Motion.followed`) alone, so that no fault moves the picture.
Screen axes: right and up in body heights before the zoom; pixels count right and down.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_store.spec import SKATING
from training.simulator.body import Floats
from training.simulator.looks import FPS, HEIGHT, WIDTH, Looks

Offsets = NDArray[np.int64]

LOWEST = 0.42  # height at which a camera that follows a dive stops, to show the splash
SKATER_HEIGHT = 0.62  # above the ice, that a camera keeps in the middle


class View(ABC):
    """How a camera sees the world while it pans and tilts: the picture is cut out of the view."""

    yaw: float
    """Degrees; 0 looks across the travel."""

    @abstractmethod
    def project(self, points: Floats) -> Floats:
        """(…, 3) world -> (…, 3): pixels right, pixels down, nearness to the camera in pixels."""

    @abstractmethod
    def zoom_at(self, place: Floats) -> float:
        """Pixels per body height at a place (3,) of the world."""


@dataclass(frozen=True, slots=True)
class ParallelView(View):
    """From very far away: what is near looks no larger, and a tilt moves the picture alone."""

    yaw: float
    pitch: float
    zoom: float

    def zoom_at(self, place: Floats) -> float:
        return self.zoom

    def project(self, points: Floats) -> Floats:
        x, y, z = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
        yaw, pitch = np.deg2rad(self.yaw), np.deg2rad(self.pitch)
        right = x * np.cos(yaw) + z * np.sin(yaw)
        near = -x * np.sin(yaw) + z * np.cos(yaw)
        up = y * np.cos(pitch) - near * np.sin(pitch)
        return np.stack(
            (
                self.zoom * right,
                -self.zoom * up,
                self.zoom * (y * np.sin(pitch) + near * np.cos(pitch)),
            ),
            axis=-1,
        )


@dataclass(frozen=True, slots=True)
class TurningView(View):
    """From a place near the pool: what is further away is smaller, and tilting down looks down.

    The view is a cylinder around the camera whose axis lies across, so that tilting moves the
    picture along it without changing what it shows.
    """

    yaw: float
    distance: float
    """From the camera to the plane of the dive, body heights."""
    height: float
    """Of the camera above the water, body heights."""
    focal: float
    """Pixels per radian."""

    def zoom_at(self, place: Floats) -> float:
        _, forward, down = self._from_camera(place)
        return float(self.focal / np.hypot(forward, down))

    def project(self, points: Floats) -> Floats:
        right, forward, down = self._from_camera(points)
        far = np.hypot(forward, down)
        nearness = -far * self.focal / self.distance
        angle = np.arctan2(down, forward)
        return np.stack((self.focal * right / far, self.focal * angle, nearness), axis=-1)

    def _from_camera(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Right, forward and down of the camera, body heights."""
        x, y, z = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
        yaw = np.deg2rad(self.yaw)
        right = x * np.cos(yaw) + z * np.sin(yaw)
        forward = self.distance + x * np.sin(yaw) - z * np.cos(yaw)
        return right, forward, self.height - y


@dataclass(frozen=True, slots=True)
class Shot:
    view: View
    frames: range
    corners: Offsets
    """(len(frames), 2): the picture's left and top in pixels of the view."""

    def bounds(self) -> tuple[int, int, int, int]:
        """left, top, right, bottom of all that the shot shows."""
        (left, top), (right, bottom) = self.corners.min(axis=0), self.corners.max(axis=0)
        return int(left), int(top), int(right) + WIDTH, int(bottom) + HEIGHT


def follow(
    view: View, path: Floats, frames: range, rng: np.random.Generator, *, fps: float = FPS
) -> Shot:
    """A shot that keeps up with the path (T, 3), late and not quite steadily."""
    target = view.project(path)[:, :2]
    window = max(round(0.3 * fps), 2)
    padded = np.concatenate((np.repeat(target[:1], window, axis=0), target, target[-1:]))
    kernel = np.ones(window) / window
    late = np.stack([np.convolve(padded[:, i], kernel, mode="valid") for i in (0, 1)], axis=-1)
    smooth = late[1 : len(target) + 1] * 0.3 + target * 0.7
    t = np.arange(len(target))[:, None] / fps
    wobble = 3.5 * np.sin(2 * np.pi * rng.uniform(0.2, 0.9, 2) * t + rng.uniform(0, 6.3, 2))
    offset = rng.uniform((-12, -8), (12, 8))
    centre = smooth + wobble + offset
    return _shot(view, centre[frames.start : frames.stop], frames)


def stand(view: View, place: Floats, frames: range) -> Shot:
    """A shot that keeps `place` (3,) of the world in the middle."""
    centre = np.tile(view.project(place)[:2], (len(frames), 1))
    return _shot(view, centre, frames)


def _shot(view: View, centre: Floats, frames: range) -> Shot:
    corners = np.rint(centre - (WIDTH / 2, HEIGHT / 2)).astype(np.int64)
    return Shot(view, frames, corners)


def diving_shots(
    looks: Looks, followed: Floats, starts: tuple[int, ...], rng: np.random.Generator
) -> list[Shot]:
    frames = len(followed)
    path = followed.copy()
    path[:, 1] = np.maximum(path[:, 1], LOWEST)
    if looks.camera == "tilts":
        height = looks.platform + looks.camera_height
        near = TurningView(looks.yaw, looks.distance, height, 1.0)
        focal = looks.zoom / near.zoom_at(followed[0])
        tilting = TurningView(looks.yaw, looks.distance, height, focal)
        return [follow(tilting, path, range(frames), rng)]
    side = ParallelView(looks.yaw, looks.pitch, looks.zoom)
    entry, splash = starts[3], starts[4]
    if looks.camera == "stands":
        upper = np.array([followed[0, 0] + 0.35, looks.platform + 0.5, 0.0])
        cut = int(np.flatnonzero(followed[:, 1] < upper[1] - 0.5)[0])
        return [stand(side, upper, range(cut)), follow(side, path, range(cut, frames), rng)]
    if looks.camera == "follows":
        return [follow(side, path, range(frames), rng)]
    cut = int(rng.integers(entry + 3, entry + 8))
    above = ParallelView(float(rng.uniform(-20, 20)), looks.overhead_pitch, looks.zoom * 0.95)
    place = np.array([followed[splash, 0], 0.45, 0.0])
    return [follow(side, path, range(cut), rng), stand(above, place, range(cut, frames))]


def vault_shots(
    looks: Looks, followed: Floats, starts: tuple[int, ...], rng: np.random.Generator
) -> list[Shot]:
    frames = len(followed)
    view = ParallelView(looks.yaw, looks.pitch, looks.zoom)
    if looks.camera == "follows":
        return [follow(view, followed, range(frames), rng)]
    first, second = starts[1], starts[3] + 1
    table = followed[(starts[1] + starts[3]) // 2] * (1, 0, 1) + (0, 1.15, 0)
    return [
        follow(view, followed, range(first), rng),
        stand(view, table, range(first, second)),
        follow(view, followed, range(second, frames), rng),
    ]


def skating_shots(
    looks: Looks, followed: Floats, starts: Sequence[int], rng: np.random.Generator
) -> list[Shot]:
    """One shot, or cuts at some of the elements' `starts` to a view from nearer or further up."""
    frames, fps = len(followed), float(SKATING.fps)
    ground = followed * (1, 0, 1) + (0, SKATER_HEIGHT, 0)
    near = ParallelView(looks.yaw, looks.pitch, looks.zoom)
    if looks.camera == "follows":
        return [follow(near, ground, range(frames), rng, fps=fps)]
    wide = ParallelView(-looks.yaw, looks.pitch + 4, looks.zoom * 0.8)
    cuts = sorted(rng.choice(starts, size=len(starts) // 2, replace=False).tolist())
    return [
        follow((near, wide)[n % 2], ground, range(begin, end), rng, fps=fps)
        for n, (begin, end) in enumerate(itertools.pairwise((0, *cuts, frames)))
    ]
