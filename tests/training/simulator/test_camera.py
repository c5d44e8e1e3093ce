"""Cameras against a pinhole camera that is computed another way, and what shots do."""

import numpy as np
import pytest

from training.simulator.camera import ParallelView, TurningView, diving_shots
from training.simulator.looks import HEIGHT, WIDTH, draw_looks

FOCAL, DISTANCE, CAMERA_HEIGHT = 900.0, 7.5, 6.0


def pinhole(points: np.ndarray, *, yaw: float, aimed_at: np.ndarray) -> np.ndarray:
    """(N, 3) world -> (N, 2) pixels from the picture's centre, by rotation matrices."""
    turn = np.deg2rad(yaw)
    across = np.array((np.cos(turn), 0.0, np.sin(turn)))
    towards = np.array((-np.sin(turn), 0.0, np.cos(turn)))  # from the scene to the camera
    camera = DISTANCE * towards + (0.0, CAMERA_HEIGHT, 0.0)
    look = aimed_at - camera
    look -= across * (look @ across)  # it tilts and does not pan
    look /= np.linalg.norm(look)
    down = np.cross(look, across)
    seen = points - camera
    return FOCAL * np.stack((seen @ across, seen @ down), axis=-1) / (seen @ look)[:, None]


@pytest.mark.parametrize("yaw", [-14.0, 0.0, 18.0])
@pytest.mark.parametrize("height", [6.4, 3.0, 0.3])
def test_a_turning_view_is_what_a_pinhole_camera_sees_that_tilts(yaw: float, height: float) -> None:
    centre = np.array((0.4, height, 0.0))
    random = np.random.default_rng(3)
    points = centre + random.uniform(-0.5, 0.5, (40, 3))
    view = TurningView(yaw, DISTANCE, CAMERA_HEIGHT, FOCAL)
    wanted = pinhole(np.vstack((centre, points)), yaw=yaw, aimed_at=centre)
    pixels = view.project(np.vstack((centre, points)))[:, :2]
    np.testing.assert_allclose(pixels[1:] - pixels[0], wanted[1:] - wanted[0], atol=1.0)


def test_the_zoom_is_the_pixels_of_a_body_height_at_a_place() -> None:
    place = np.array((0.3, 2.0, -0.2))
    view = TurningView(8.0, DISTANCE, CAMERA_HEIGHT, FOCAL)
    yaw = np.deg2rad(8.0)
    across = np.array((np.cos(yaw), 0.0, np.sin(yaw)))
    ends = view.project(np.stack((place - across / 2, place + across / 2)))[:, :2]
    assert view.zoom_at(place) == pytest.approx(np.hypot(*(ends[1] - ends[0])), rel=1e-3)
    assert ParallelView(8.0, 5.0, 130.0).zoom_at(place) == 130.0


def test_what_is_nearer_to_the_camera_has_more_nearness() -> None:
    view = TurningView(0.0, DISTANCE, CAMERA_HEIGHT, FOCAL)
    nearness = view.project(np.array([(0, 3, -0.2), (0, 3, 0.0), (0, 3, 0.2)]))[:, 2]
    assert (np.diff(nearness) > 0).all()
    # a body height nearer is about as many pixels as a body height across
    assert np.diff(nearness).sum() / 0.4 == pytest.approx(
        view.zoom_at(np.array((0, 3, 0))), rel=0.2
    )


def test_a_camera_that_tilts_follows_without_a_cut_and_shows_the_entry_from_further_away() -> None:
    looks = draw_looks("diving", np.random.default_rng(5), camera="tilts", style="broadcast")
    t = np.linspace(0, 1, 60)
    path = np.stack((t, looks.platform * (1 - t**2), 0 * t), axis=-1)
    (shot,) = diving_shots(looks, path, (0, 10, 20, 45, 55), np.random.default_rng(6))
    assert shot.frames == range(60)
    assert shot.view.zoom_at(path[0]) == pytest.approx(looks.zoom)
    assert shot.view.zoom_at(path[-1]) < looks.zoom
    placed = shot.view.project(path)[:, :2] - shot.corners
    assert (np.abs(placed[:55] - (WIDTH / 2, HEIGHT / 2)) < (WIDTH / 4, HEIGHT / 3)).all()
    tilt = np.ptp(shot.corners[:, 1]) / HEIGHT
    assert 1.0 < tilt < 4.0  # of real dives 2.2 to 2.8
