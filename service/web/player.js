// A video with its controls: play a part, one frame on or back, a quarter of the speed.

import { h } from "./dom.js";
import { points } from "./numbers.js";
import { FRAME_S } from "./range.js";
import { sayAll } from "./words.js";

const PATIENCE_MS = 3000; // then a browser that says nothing of a file counts as unable to play it
const SLOW = 0.25;
const JUMP_S = 0.5; // arrow keys with Shift

export class Player {
  // `part()` is the [start, end] that the play button plays; null for all of it. `onTime` is called
  // with every picture that is shown. `native`: with the browser's own controls too.
  constructor(url, { part = () => null, onTime = () => {}, native = false } = {}) {
    this.part = part;
    this.onTime = onTime;
    this.until = null; // seconds at which to stop
    this.video = h("video", {
      src: url, muted: true, playsinline: true, preload: "auto", tabindex: "0", controls: native,
      "data-label": "video.clip",
    });
    this.video.muted = true;
    const button = (name, text, act) =>
      h("button", { type: "button", class: name, "data-label": `video.${name}`, onclick: act }, text);
    this.playButton = button("play", "▶", () => this.toggle());
    this.slowButton = h("button", {
      type: "button", class: "slow", "aria-pressed": "false", "data-label": "video.slow_label",
      onclick: () => this.slow(),
    }, "¼×");
    this.time = h("output", { class: "time", "aria-live": "off" });
    this.controls = h("div", { class: "controls" },
      native ? null : this.playButton,
      button("back", "◂|", () => this.step(-FRAME_S)),
      button("forward", "|▸", () => this.step(FRAME_S)),
      this.slowButton, this.time);
    this.screen = h("div", { class: "screen" }, this.video);
    this.element = h("div", { class: "player", onkeydown: (event) => this.#key(event) }, this.screen, this.controls);
    sayAll(this.element);
    this.canPlay = new Promise((resolve) => {
      this.video.addEventListener("error", () => resolve(false));
      this.video.addEventListener("loadedmetadata", () =>
        resolve(this.video.videoWidth > 0 && this.video.duration > 0 && this.video.duration < Infinity));
    });
    if (!native) this.video.addEventListener("click", () => this.toggle());
    for (const event of ["play", "seeked", "timeupdate"]) {
      this.video.addEventListener(event, () => this.#follow());
    }
    for (const event of ["play", "pause"]) this.video.addEventListener(event, () => this.#showState());
  }

  // Show the picture at a time.
  show(time) {
    this.video.pause();
    this.video.currentTime = Math.max(0, time);
  }

  // Play from a time, and stop at another.
  async play(start, end) {
    this.video.pause();
    this.video.currentTime = start;
    try {
      await this.video.play();
      this.until = end;
    } catch {
      // Where a browser refuses to play, the first frame is shown all the same.
    }
  }

  toggle() {
    if (!this.video.paused) {
      this.video.pause();
      return;
    }
    const [start, end] = this.part() ?? [0, this.video.duration];
    const time = this.video.currentTime;
    const goesOn = time >= start && time < end - 1.5 * FRAME_S;
    this.play(goesOn ? time : start, end);
  }

  step(seconds) {
    this.show(this.video.currentTime + seconds);
  }

  slow() {
    const slow = this.video.playbackRate === 1;
    this.video.playbackRate = slow ? SLOW : 1;
    this.slowButton.setAttribute("aria-pressed", String(slow));
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const step = event.shiftKey ? JUMP_S : FRAME_S;
    const onVideo = event.target === this.video;
    const act = {
      ",": () => this.step(-FRAME_S),
      ".": () => this.step(FRAME_S),
      s: () => this.slow(),
      " ": onVideo && (() => this.toggle()),
      ArrowLeft: onVideo && (() => this.step(-step)),
      ArrowRight: onVideo && (() => this.step(step)),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #showState() {
    const paused = this.video.paused;
    if (paused) this.until = null;
    this.playButton.textContent = paused ? "▶" : "❚❚";
    this.playButton.dataset.label = paused ? "video.play" : "video.pause";
    sayAll(this.controls);
  }

  #follow() {
    const time = this.video.currentTime;
    if (this.until !== null && time >= this.until - FRAME_S / 2) {
      const last = this.until - FRAME_S / 2;
      this.show(last); // the picture on the screen may be the next part's already
      return;
    }
    this.time.textContent = `${points(time)} s`;
    this.onTime(time);
    cancelAnimationFrame(this.next);
    if (!this.video.paused) this.next = requestAnimationFrame(() => this.#follow());
  }
}

// Resolves after the time for which a browser is waited for.
export const patience = () => new Promise((resolve) => { setTimeout(resolve, PATIENCE_MS); });

// Seconds of a file, null if this browser cannot play it.
export async function lengthOf(file) {
  const url = URL.createObjectURL(file);
  const player = new Player(url);
  const can = await Promise.race([player.canPlay, patience()]);
  const seconds = can ? player.video.duration : null;
  player.video.removeAttribute("src");
  URL.revokeObjectURL(url);
  return seconds;
}
