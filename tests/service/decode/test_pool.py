"""The real pool with real processes."""

import asyncio
import base64
import dataclasses
import functools
import io
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable

import av
import numpy as np
import pytest

from model_store.clip import ClipLimits, load_clip, prepare_clip, read_clip
from model_store.errors import ClipTooLarge, InvalidTrim, NotAVideo, UnusableClip
from service.decode.pool import DecodedUpload, DecodePool
from service.errors import DecoderFailed, DecoderInterrupted, DecoderTimeout, DecoderUnavailable
from tests.clips import audio_only, clip_bytes, clip_of, large_clip, moving_square, still_png
from tests.decoders import JOB, OPTIONS, SPEC, costly, decode, exists, pool, stopped_worker
from training.measure.stored_copies import STORAGE_VARIANTS, recording_of

pytestmark = pytest.mark.anyio

SOON_S = 4.0  # more than a small clip takes where others use the machine


async def test_same_pixels_as_in_this_process() -> None:
    content = clip_bytes(frames=140)
    async with pool() as decoders:
        decoded = await decode(decoders, content)
    np.testing.assert_array_equal(decoded.clip.frames, load_clip(content, SPEC))
    assert decoded.clip.info.decoded_frames == 140
    assert np.isnan(decoded.clip.times).sum() == 11
    assert decoded.fragment_jpegs is None


async def test_a_pool_that_stops_while_it_starts_leaves_nothing_to_its_successor() -> None:
    """The loop once went on watching the numbers of closed sockets, which the next ones got."""
    first = DecodePool(**OPTIONS | {"workers": 4})
    starting = asyncio.create_task(first.start())
    while len(first.pids) < 4:
        await asyncio.sleep(0)
    await first.stop()
    async with asyncio.timeout(30), pool(workers=4) as decoders:
        await decode(decoders, clip_bytes())
    starting.cancel()


async def test_whatever_a_clip_is_stored_as_is_read_as_in_this_process() -> None:
    """What is mended of a clip must need no module that is loaded only then."""
    recording = recording_of(clip_bytes(frames=40, height=96, width=128))
    async with pool() as decoders:
        for name, variant in STORAGE_VARIANTS.items():
            content = variant.store(recording)
            here = prepare_clip(read_clip(content, SPEC), SPEC)
            there = (await decode(decoders, content)).clip
            assert there.warnings == here.warnings, name
            np.testing.assert_array_equal(there.frames, here.frames, err_msg=name)


async def test_pictures_are_what_the_network_sees() -> None:
    content = clip_of(moving_square(60, 64, 64), options={"qp": "0"})
    job = dataclasses.replace(JOB, wants_fragment_jpegs=True)
    async with pool() as decoders:
        decoded = await decode(decoders, content, job)
    assert decoded.fragment_jpegs is not None
    assert [picture is None for picture in decoded.fragment_jpegs] == [False] * 4 + [True] * 5
    jpeg = base64.b64decode(decoded.fragment_jpegs[0] or "")
    with av.open(io.BytesIO(jpeg), "r") as file:
        [picture] = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    seen = decoded.clip.frames[8]
    assert np.abs(picture.astype(int) - seen).mean() < 4


async def test_errors_cross_the_process_border() -> None:
    half = clip_bytes()[: len(clip_bytes()) // 2]
    async with pool() as decoders:
        pids = decoders.pids
        for content in (os.urandom(5000), still_png(), half):
            with pytest.raises(NotAVideo):
                await decode(decoders, content)
        for content in (audio_only(), clip_bytes(frames=5)):
            with pytest.raises(UnusableClip):
                await decode(decoders, content)
        assert decoders.pids == pids  # a bad clip is no reason for a new process


async def test_limits_and_trim_reach_the_worker() -> None:
    async with pool() as decoders:
        small = dataclasses.replace(JOB, limits=ClipLimits(max_frames=100))
        with pytest.raises(ClipTooLarge):
            await decode(decoders, clip_bytes(), small)
        with pytest.raises(InvalidTrim):
            await decode(decoders, clip_bytes(), dataclasses.replace(JOB, start_s=60.0))


@pytest.mark.parametrize(
    ("sent", "error"),
    [(signal.SIGKILL, DecoderInterrupted), (signal.SIGSEGV, DecoderFailed)],
)
async def test_a_killed_worker_costs_only_its_own_clip(
    sent: signal.Signals, error: type[Exception]
) -> None:
    """No clip can send SIGKILL: the system does, for lack of memory, or an operator."""
    async with pool() as decoders:
        task = await stopped_worker(decoders)
        for each in (sent, signal.SIGCONT):
            os.kill(decoders.pids[0], each)
        with pytest.raises(error, match=sent.name):
            await task
        await decode(decoders, clip_bytes())


async def test_an_idle_worker_that_died_is_nobodys_fault() -> None:
    async with pool() as decoders:
        for _ in range(3):
            os.kill(decoders.pids[0], signal.SIGKILL)
            await decode(decoders, clip_bytes())


async def test_a_hung_worker_is_killed_and_replaced() -> None:
    async with pool(timeout_s=SOON_S) as decoders:
        [pid] = decoders.pids
        task = await stopped_worker(decoders)
        with pytest.raises(DecoderInterrupted, match=r"0\.\d s of processor time"):
            await task
        await decode(decoders, clip_bytes())
        assert not exists(pid)


async def test_a_hung_worker_delays_nobody_else() -> None:
    async with pool(workers=2, timeout_s=2 * SOON_S) as decoders:
        task = await stopped_worker(decoders)
        while not task.done():
            async with asyncio.timeout(SOON_S):
                await decode(decoders, clip_bytes())
        with pytest.raises(DecoderInterrupted, match=r"0\.\d s of processor time"):
            await task


async def test_cancelling_stops_the_decoding_and_keeps_the_worker() -> None:
    async with pool() as decoders:
        pids = decoders.pids
        for _ in range(3):
            begun = decoders.workers[0].processor_s()
            task = asyncio.create_task(decode(decoders, costly()))
            while not task.done() and decoders.workers[0].processor_s() - begun < 0.5:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await decode(decoders, clip_bytes())
            # All of it takes two seconds and more.
            assert decoders.workers[0].processor_s() - begun < 1.5
        assert decoders.pids == pids


async def test_cancelling_kills_a_worker_that_does_not_stop() -> None:
    async with pool() as decoders:
        [pid] = decoders.pids
        task = await stopped_worker(decoders)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await decode(decoders, clip_bytes())
        assert not exists(pid)


async def test_a_stop_that_comes_too_late_means_nothing() -> None:
    async with pool() as decoders:
        pids = decoders.pids
        for _ in range(3):
            decoders.workers[0].ask_to_stop()
            await decode(decoders, clip_bytes())
        assert decoders.pids == pids


async def test_the_file_of_a_request_that_left_is_not_mistaken_for_the_next() -> None:
    """Its descriptor's number is free again while the worker has yet to be started."""
    async with pool() as decoders:
        os.kill(decoders.pids[0], signal.SIGKILL)
        leaving = asyncio.create_task(decode(decoders, clip_bytes(frames=60)))
        await asyncio.sleep(0.05)
        leaving.cancel()
        decoded = await decode(decoders, clip_bytes(frames=140))
    assert decoded.clip.info.decoded_frames == 140


@functools.cache
def long_clip() -> bytes:
    """Small, and more than a second to decode."""
    return clip_of(moving_square(100, 720, 1280), container="mpegts") * 12


@pytest.mark.parametrize("content", [long_clip, costly])
async def test_one_worker_is_kept_for_short_clips(content: Callable[[], bytes]) -> None:
    """Whoever sends the long ones, and however many: an ordinary clip need not wait for them."""
    large, small = content(), clip_bytes()
    async with pool(workers=2, clips_per_worker=10_000, timeout_s=60.0) as decoders:
        pids = decoders.pids
        long = [asyncio.create_task(decode(decoders, large, client=client)) for client in "abcd"]
        await asyncio.sleep(0)  # their files are written
        waits = []
        while not any(task.done() for task in long):
            began = time.monotonic()
            await decode(decoders, small, client="e")
            waits.append(time.monotonic() - began)
        assert len(waits) > 2
        assert max(waits) < SOON_S  # all that is long takes three times as long, and more
        assert decoders.for_short is not None
        kept = decoders.for_short.clips
        for outcome in await asyncio.gather(*long, return_exceptions=True):
            assert isinstance(outcome, (DecodedUpload, UnusableClip))  # one repeats ten pictures
        assert decoders.for_short.clips == kept  # the other one did all that was long
        assert decoders.pids == pids


async def test_clients_have_their_turns_by_the_time_that_their_clips_take() -> None:
    order: list[str] = []
    large, small = large_clip(), clip_bytes()

    async def ask(client: str, content: bytes) -> None:
        await decode(decoders, content, client=client)
        order.append(client)

    async with pool() as decoders:
        tasks = [asyncio.create_task(ask("a", large)) for _ in range(3)]
        tasks += [asyncio.create_task(ask("b", small)) for _ in range(3)]
        await asyncio.gather(*tasks)
    assert order[0] == "a"  # nobody else was there
    assert order.index("b") == 1
    assert order[-1] == "a"


async def test_a_worker_gives_its_memory_back() -> None:
    """Twice 50 MB are kept by the decoder of a clip of 3840 × 2160 with 4:4:4 colours."""
    frames = (np.full((2160, 3840, 3), value, np.uint8) for value in range(0, 200, 10))
    options = {"preset": "ultrafast", "x264-params": "ref=4:scenecut=0:keyint=infinite"}
    big = clip_of(frames, options=options, pix_fmt="yuv444p10le", container="matroska")
    async with pool() as decoders:
        [worker] = decoders.workers
        await decode(decoders, clip_bytes())
        before = worker.resident_bytes()
        await decode(decoders, big)
        assert worker._memory("VmHWM") > before + (150 << 20)
        assert worker.resident_bytes() < before + (20 << 20)


async def test_a_worker_that_keeps_memory_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.decode.pool.KEPT_BYTES", 1 << 20)
    async with pool() as decoders:
        pids = decoders.pids
        await decode(decoders, clip_bytes())
        await decode(decoders, clip_bytes())
        assert decoders.pids != pids


async def test_workers_that_cannot_be_started_fail_those_who_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with pool(workers=2) as decoders:
        monkeypatch.setattr(sys, "executable", "/bin/false")
        for pid in decoders.pids:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(DecoderUnavailable):
            await decode(decoders, clip_bytes())
        monkeypatch.undo()
        await decode(decoders, clip_bytes())


async def test_a_worker_that_dies_while_it_starts_fails_no_clip() -> None:
    async with pool(workers=2, clips_per_worker=1) as decoders:
        for _ in range(4):
            before = decoders.pids
            await decode(decoders, clip_bytes())
            for pid in {*decoders.pids} - {*before}:
                os.kill(pid, signal.SIGKILL)
            await decode(decoders, clip_bytes())


async def test_cancelling_while_waiting_for_a_worker_leaves_the_pool_whole() -> None:
    async with pool(timeout_s=SOON_S) as decoders:
        running = await stopped_worker(decoders)
        waiting = asyncio.create_task(decode(decoders, clip_bytes()))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(DecoderInterrupted):
            await running
        await decode(decoders, clip_bytes())


async def test_workers_are_replaced_after_their_share() -> None:
    async with pool(clips_per_worker=2) as decoders:
        pids = []
        for _ in range(5):
            pids.append(decoders.pids[0])
            await decode(decoders, clip_bytes())
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]


async def test_too_little_memory_is_the_clips_problem() -> None:
    """A picture that is allowed, but that the worker has no room for."""
    frames = np.zeros((20, 2160, 3840, 3), np.uint8)
    big = clip_of(frames, options={"preset": "ultrafast", "refs": "16"})  # all kept: 190 MB
    async with pool(memory_bytes=300 << 20) as decoders:
        with pytest.raises(ClipTooLarge, match="memory"):
            await decode(decoders, big)
        await decode(decoders, clip_bytes())


async def test_processor_time_is_limited() -> None:
    async with pool(cpu_s=0) as decoders:  # the system counts whole seconds: up to one
        with pytest.raises(DecoderTimeout, match="processor time"):
            await decode(decoders, costly())
        await decode(decoders, clip_bytes())


async def test_a_decoder_that_had_a_processor_all_the_time_was_not_kept_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wall clock shorter than the processor time: the clip is too long to decode all the same."""
    monkeypatch.setattr("service.decode.pool.BUSY_SHARE", 0.1)  # this machine may be busy, too
    async with pool(timeout_s=0.6) as decoders:
        with pytest.raises(DecoderTimeout, match=r"s of processor time in 0\.6 s"):
            await decode(decoders, costly())


async def test_nothing_leaks() -> None:
    async with pool(timeout_s=0.5) as decoders:
        await decode(decoders, clip_bytes())
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(2):
            await decode(decoders, clip_bytes())
            with pytest.raises(NotAVideo):
                await decode(decoders, b"nothing")
            task = await stopped_worker(decoders)
            with pytest.raises(DecoderInterrupted):
                await task
        await decode(decoders, clip_bytes())
        assert len(os.listdir("/proc/self/fd")) == before


async def test_without_a_free_descriptor_only_the_request_fails() -> None:
    async with pool() as decoders:
        with tempfile.TemporaryFile() as file:
            file.write(clip_bytes())
            file.flush()
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            used = max(map(int, os.listdir("/proc/self/fd")))
            taken = [os.dup(file.fileno()) for _ in range(used)]  # no number below is free
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, limits[1]))
                with pytest.raises(OSError, match="Too many open files"):
                    await decoders.decode(file.fileno(), JOB)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                for each in taken:
                    os.close(each)
            async with asyncio.timeout(20):
                await decoders.decode(file.fileno(), JOB)


async def test_progress_is_reported_when_it_is_asked_for() -> None:
    reported: list[tuple[int, int]] = []
    async with pool() as decoders:
        for progress in (False, True):
            assert not reported
            with tempfile.TemporaryFile() as file:
                file.write(large_clip())
                file.flush()
                job = dataclasses.replace(JOB, wants_progress=progress)
                await decoders.decode(file.fileno(), job, lambda *frames: reported.append(frames))
    assert reported == sorted(reported)
    assert reported[-1] == (151, 151)
