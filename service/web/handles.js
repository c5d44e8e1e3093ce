// The whole video as a strip of small pictures, and over it two handles at the ends of the part that
// is scored.

import { h, percent } from "./dom.js";
import { points } from "./numbers.js";
import { FRAME_S } from "./range.js";
import { say, sayAll } from "./words.js";

const JUMP_S = 0.5; // arrow keys with Shift
const PAGE_S = 1;
const PICTURES = 10;
const CLICK_PX = 4; // a pointer that moves less than this has clicked

export class Handles {
  // `onMove(which)` is called after a person has moved the range, `onSeek(time)` when one looks at
  // another place of the video.
  constructor(range, { onMove, onSeek }) {
    this.range = range;
    this.onMove = onMove;
    this.onSeek = onSeek;
    this.locked = false;
    this.ends = { start: this.#handle("start"), end: this.#handle("end") };
    this.chosen = h("div", { class: "chosen-part" });
    this.head = h("div", { class: "head" });
    this.pictures = h("div", { class: "pictures" });
    this.strip = h("div", { class: "strip" },
      this.pictures, this.chosen, this.head, this.ends.start, this.ends.end);
    this.element = h("div", { class: "handles" }, this.strip);
    sayAll(this.element);
    this.#dragging(this.chosen, "both");
    this.#seeking();
    this.draw();
  }

  draw() {
    const { start, end, total } = this.range;
    this.strip.style.setProperty("--from", percent(start / total));
    this.strip.style.setProperty("--to", percent(end / total));
    for (const [which, element] of Object.entries(this.ends)) {
      const time = this.range[which];
      element.setAttribute("aria-valuemin", "0");
      element.setAttribute("aria-valuemax", total.toFixed(3));
      element.setAttribute("aria-valuenow", time.toFixed(3));
      element.setAttribute("aria-valuetext", say("part.at", { time: points(time, 2) }));
      element.setAttribute("aria-disabled", String(this.locked));
    }
  }

  showTime(time) {
    this.strip.style.setProperty("--now", percent(Math.min(1, time / this.range.total)));
  }

  // Draw what the video shows at even distances. It takes a moment for each picture.
  async drawPictures(url) {
    const video = h("video", { src: url, muted: true, playsinline: true, preload: "auto" });
    const event = (name) => new Promise((resolve, reject) => {
      video.addEventListener(name, resolve, { once: true });
      video.addEventListener("error", reject, { once: true });
    });
    try {
      await event("loadeddata");
      for (let i = 0; i < PICTURES; i += 1) {
        const seeked = event("seeked");
        video.currentTime = (this.range.total * (i + 0.5)) / PICTURES;
        await seeked;
        const height = 96;
        const width = Math.round((height * video.videoWidth) / video.videoHeight);
        const canvas = h("canvas", { width, height });
        canvas.getContext("2d").drawImage(video, 0, 0, width, height);
        this.pictures.append(canvas);
      }
    } catch {
      // The strip is as useful without pictures.
    } finally {
      video.removeAttribute("src");
    }
  }

  #handle(which) {
    const element = h("div", {
      class: `handle ${which}`, role: "slider", tabindex: "0", "data-label": `part.${which}`,
      onkeydown: (event) => this.#key(event, which),
    });
    this.#dragging(element, which);
    return element;
  }

  #move(which, to) {
    if (this.locked) return;
    this.range.move(which, to);
    this.draw();
    this.onMove(which);
  }

  #key(event, which) {
    const step = event.shiftKey ? JUMP_S : FRAME_S;
    const by = {
      ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step,
      PageDown: -PAGE_S, PageUp: PAGE_S, Home: -Infinity, End: Infinity,
    }[event.key];
    if (by === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const { total } = this.range;
    this.#move(which, Math.min(total, Math.max(0, this.range[which] + by)));
  }

  #time(event) {
    const { left, width } = this.strip.getBoundingClientRect();
    return (Math.min(Math.max(event.clientX - left, 0), width) / width) * this.range.total;
  }

  #dragging(element, which) {
    element.addEventListener("pointerdown", (down) => {
      if (this.locked || down.button !== 0) return;
      down.preventDefault();
      down.stopPropagation();
      element.focus?.({ preventScroll: true });
      element.setPointerCapture(down.pointerId);
      const grasped = this.#time(down) - this.range[which === "both" ? "start" : which];
      let moved = false;
      const move = (event) => {
        moved ||= Math.abs(event.clientX - down.clientX) >= CLICK_PX;
        if (moved) this.#move(which, this.#time(event) - grasped);
      };
      element.addEventListener("pointermove", move);
      element.addEventListener("lostpointercapture", (event) => {
        element.removeEventListener("pointermove", move);
        if (!moved && which === "both") this.onSeek(this.#time(event));
      }, { once: true });
    });
  }

  #seeking() {
    const seek = (event) => {
      if (event.buttons & 1) this.onSeek(this.#time(event));
    };
    this.strip.addEventListener("pointerdown", seek);
    this.strip.addEventListener("pointermove", (event) => {
      if (event.target === this.pictures || this.pictures.contains(event.target)) seek(event);
    });
  }
}
