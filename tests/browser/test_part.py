"""What is scored of a video: handles, keys, the part that was found, seconds without a picture."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from service.http.page import WEB
from tests.browser.conftest import Visit, sent, violations
from tests.clips import clip_of, moving_square, write_clip

DIVE = WEB / "demo" / "dive.mp4"
LONG_S, SCORED_S, FRAME_S = 9.0, 151 / 30, 1 / 30


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nearly twice as long as what is scored, and four seconds of it in no other clip."""
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    path.write_bytes(clip_of(moving_square(int(LONG_S * 30), 96, 128)))
    return path


@pytest.fixture
def chosen(visit: Visit, long_clip: Path) -> Iterator[Page]:
    page = visit.open()
    page.set_input_files("#clip", long_clip)
    expect(page.locator("[role=slider]")).to_have_count(2)
    yield page
    assert visit.complaints == []


def ends(page: Page) -> tuple[float, float]:
    start, end = (
        float(page.get_attribute(f".handle.{name}", "aria-valuenow") or "nan")
        for name in ("start", "end")
    )
    return start, end


def seconds_shown(page: Page) -> float:
    seconds: float = page.evaluate("document.querySelector('.part video').currentTime")
    return seconds


def score(page: Page) -> dict[str, Any]:
    page.click("#score")
    expect(page.locator(".about-score")).to_be_visible(timeout=60_000)
    return sent(page)[-1]


def test_what_is_scored_is_said_before_the_upload(visit: Visit) -> None:
    page = visit.open()
    expect(page.locator("#about")).to_have_text(
        "5.0 s are scored. The model has learned from real dives from one Olympic event"
        " (London 2012, men, 10 m) and from simulated ones."
    )
    page.select_option("#action", "vault")
    expect(page.locator("#about")).to_have_text(
        "3.3 s are scored. The model has learned from simulated vaults only: do not use it to"
        " judge people."
    )


def test_a_long_video_is_searched_unless_a_handle_is_moved(chosen: Page) -> None:
    assert ends(chosen) == pytest.approx((LONG_S - SCORED_S, LONG_S), abs=0.002)
    expect(chosen.locator("#find")).to_be_checked()
    expect(chosen.locator(".part-note")).to_contain_text("The service looks for the routine")
    fields = score(chosen)
    assert fields["find"] == "true"
    assert not {"start_s", "end_s"} & fields.keys()
    start, end = ends(chosen)  # of what was scored
    key, by = ("ArrowLeft", -FRAME_S) if start > FRAME_S else ("ArrowRight", FRAME_S)
    chosen.focus(".handle.start")
    chosen.keyboard.press(key)
    expect(chosen.locator("#find")).not_to_be_checked()
    assert chosen.locator("#result > *").count() == 0
    assert chosen.inner_text("#step") == "The entries have changed: score again."
    fields = score(chosen)
    assert "find" not in fields
    # An end of the file is not sent.
    sent_s = [float(fields.get("start_s", 0)), float(fields.get("end_s", LONG_S))]
    assert fields.keys() & {"start_s", "end_s"}
    assert sent_s == pytest.approx([start + by, end + by], abs=0.02)
    frames = round((sent_s[1] - sent_s[0]) * 30)
    assert f"{frames} of 270 frames" in chosen.inner_text(".provenance")
    assert "longer than what is scored" not in chosen.inner_text("#result")


def test_the_routine_is_found_in_a_recording(visit: Visit, tmp_path: Path) -> None:
    """Five seconds of standing, a simulated dive, three seconds of water."""
    with av.open(str(DIVE)) as clip:
        dive = [
            np.asarray(each.to_ndarray(format="rgb24"), np.uint8) for each in clip.decode(video=0)
        ]
    recording = tmp_path / "recording.mp4"
    write_clip(recording, [dive[0]] * 150 + dive + [dive[-1]] * 90)
    page = visit.open()
    page.set_input_files("#clip", recording)
    expect(page.locator("#find")).to_be_checked()
    score(page)
    start, end = ends(page)
    assert start < 5 + 2  # the take-off comes two seconds after the beginning of this clip
    assert end > 5 + 3.2  # and the entry three
    expect(page.locator(".found")).to_contain_text("The routine was found at")


def test_the_keys_of_a_handle(chosen: Page) -> None:
    """Both handles move as one, by a frame, half a second, a second, to the ends."""
    start, end = ends(chosen)
    chosen.focus(".handle.end")
    for key, by in (
        ("ArrowLeft", -FRAME_S),
        ("ArrowRight", FRAME_S),
        ("Shift+ArrowLeft", -0.5),
        ("PageDown", -1.0),
    ):
        chosen.keyboard.press(key)
        start, end = start + by, end + by
        assert ends(chosen) == pytest.approx((start, end), abs=0.004)
    assert seconds_shown(chosen) == pytest.approx(end - FRAME_S / 2, abs=0.02)  # its last picture
    chosen.keyboard.press("Home")
    assert ends(chosen) == pytest.approx((0, SCORED_S), abs=0.002)
    chosen.keyboard.press("Shift+ArrowLeft")
    assert ends(chosen)[0] == 0
    assert "5.03 seconds" in (chosen.get_attribute(".handle.end", "aria-valuetext") or "")


def test_a_narrower_part_is_chosen_by_one_handle_alone(chosen: Page) -> None:
    chosen.uncheck("#together")
    chosen.focus(".handle.start")
    chosen.keyboard.press("PageUp")
    start, end = ends(chosen)
    assert end == LONG_S
    assert end - start == pytest.approx(SCORED_S - 1, abs=0.04)
    chosen.keyboard.press("End")  # at least one fragment is left
    assert ends(chosen)[1] - ends(chosen)[0] == pytest.approx(16 * FRAME_S, abs=0.002)
    chosen.keyboard.press("Home")  # no more than what is scored
    assert ends(chosen) == pytest.approx((0, SCORED_S), abs=0.002)


def test_handles_are_dragged_and_the_strip_looks_at_another_picture(chosen: Page) -> None:
    strip = chosen.locator(".strip").bounding_box()
    handle = chosen.locator(".handle.start").bounding_box()
    assert strip
    assert handle
    y = strip["y"] + strip["height"] / 2
    chosen.mouse.move(handle["x"] + handle["width"] / 2, y)
    chosen.mouse.down()
    chosen.mouse.move(strip["x"] + 40, y, steps=5)
    chosen.mouse.up()
    start, end = ends(chosen)
    moved = (strip["x"] + 40 - handle["x"] - handle["width"] / 2) / strip["width"] * LONG_S
    assert start == pytest.approx(LONG_S - SCORED_S + moved, abs=0.04)
    assert end - start == pytest.approx(SCORED_S, abs=0.002)
    chosen.mouse.click(strip["x"] + strip["width"] * (start + 2) / LONG_S, y)
    assert ends(chosen) == (start, end)
    assert seconds_shown(chosen) == pytest.approx(start + 2, abs=0.1)
    chosen.get_by_role("button", name="Start here").click()
    assert ends(chosen)[0] == pytest.approx(start + 2, abs=0.1)


def test_a_finger_drags_a_handle(chosen: Page) -> None:
    chosen.set_viewport_size({"width": 390, "height": 844})
    chosen.locator(".strip").scroll_into_view_if_needed()
    strip, handle = (chosen.locator(each).bounding_box() for each in (".strip", ".handle.start"))
    assert strip
    assert handle
    # At the outer rim of what a finger can grasp.
    x, y = handle["x"] - 15, handle["y"] + handle["height"] / 2
    touch = chosen.context.new_cdp_session(chosen)

    def send(kind: str, *points: tuple[float, float]) -> None:
        touch.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]},
        )

    start, end = ends(chosen)
    send("touchStart", (x, y))
    for moved in range(10, 70, 10):
        send("touchMove", (x - moved, y + moved / 5))
    send("touchEnd")
    by = -60 / strip["width"] * LONG_S
    assert ends(chosen) == pytest.approx((start + by, end + by), abs=0.04)


def test_the_keys_of_the_video(chosen: Page) -> None:
    chosen.focus(".part video")
    start = seconds_shown(chosen)
    for key in (".", ".", ","):
        chosen.keyboard.press(key)
    assert seconds_shown(chosen) == pytest.approx(start + FRAME_S, abs=0.002)
    chosen.keyboard.press("s")
    expect(chosen.locator(".part .slow")).to_have_attribute("aria-pressed", "true")
    assert chosen.evaluate("document.querySelector('.part video').playbackRate") == 0.25
    chosen.keyboard.press("s")
    chosen.focus(".handle.end")
    chosen.keyboard.press("Home")
    chosen.uncheck("#together")
    for _ in range(4):
        chosen.focus(".handle.end")
        chosen.keyboard.press("PageDown")
    end = ends(chosen)[1]
    chosen.focus(".part video")
    chosen.keyboard.press(" ")  # plays the part, and stops at its end
    expect(chosen.get_by_role("button", name="Pause")).to_be_visible()
    expect(chosen.locator(".part .play")).to_have_attribute("aria-label", "Play", timeout=15_000)
    assert seconds_shown(chosen) == pytest.approx(end - FRAME_S / 2, abs=0.002)


def test_a_short_video_is_scored_whole(visit: Visit, tmp_path: Path) -> None:
    clip = tmp_path / "short.mp4"
    clip.write_bytes(clip_of(moving_square(60, 96, 128)))
    page = visit.open()
    page.set_input_files("#clip", clip)
    expect(page.locator(".part-note")).to_have_text("The whole video is scored: 2.0 s.")
    assert not page.is_visible("#find")
    assert not {"find", "start_s", "end_s"} & score(page).keys()
    blank = page.locator(".fragment.blank")
    assert blank.count() > 0
    assert "no video" in blank.first.inner_text()
    assert (blank.first.get_attribute("aria-label") or "").endswith("no video.")


def test_the_part_that_was_found_and_the_second_choice(
    visit: Visit, chosen: Page, long_clip: Path
) -> None:
    def found(route: Route) -> None:
        """The service's own answer to this clip, as if it had found the routine."""
        fields = {"action": "diving", "include": "frames", "start_s": "1.2", "end_s": "6.233"}
        answer = visit.server.score(long_clip.read_bytes(), **fields).json()
        answer |= {"found_s": [1.2, 6.2333], "second_choice_s": [3.5, 8.5333]}
        events = f"event: result\ndata: {json.dumps(answer)}\n\n"
        route.fulfill(body=events, content_type="text/event-stream")

    chosen.route("**/score", found, times=1)
    assert score(chosen)["find"] == "true"
    assert ends(chosen) == pytest.approx((1.2, 6.2333), abs=0.001)
    expect(chosen.locator(".found")).to_contain_text("The routine was found at 1.2 s to 6.2 s.")
    expect(chosen.locator("#find")).to_be_checked()
    expect(chosen.locator(".part-note")).to_have_text("The routine was found at 1.2 s to 6.2 s.")
    assert violations(chosen) == []
    chosen.get_by_role("button", name="Score 3.5 s to 8.5 s").click()
    expect(chosen.locator(".found")).to_have_count(0)
    expect(chosen.locator(".about-score")).to_be_visible(timeout=60_000)
    assert ends(chosen) == pytest.approx((3.5, 8.5333), abs=0.001)
    fields = sent(chosen)[-1]
    assert (fields["start_s"], fields["end_s"]) == ("3.500", "8.533")
    assert "find" not in fields


def test_what_was_chosen_stays_when_the_action_changes(chosen: Page) -> None:
    chosen.focus(".handle.end")
    chosen.keyboard.press("PageDown")
    end = ends(chosen)[1]
    chosen.select_option("#action", "vault")
    assert ends(chosen) == pytest.approx((end - 100 / 30, end), abs=0.002)
    chosen.check("#find")
    chosen.select_option("#action", "diving")
    assert ends(chosen)[1] == LONG_S


def test_on_a_phone(chosen: Page) -> None:
    chosen.set_viewport_size({"width": 360, "height": 740})
    for scheme in ("light", "dark"):
        chosen.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert violations(chosen) == []
    assert chosen.evaluate("document.documentElement.scrollWidth") <= 360
    for name in ("start", "end"):  # a finger needs 44 CSS pixels
        width = chosen.evaluate(
            "(name) => parseFloat(getComputedStyle(document.querySelector(`.handle.${name}`),"
            " '::before').width)",
            name,
        )
        assert width >= 44
