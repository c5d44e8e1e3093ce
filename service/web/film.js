// The video with its timeline: a column a fragment, its bar the points it added or cost.

import { h, percent, picture } from "./dom.js";
import { contribution, digits, seconds, signed } from "./words.js";

const FRAME_S = 1 / 30;

export class Film {
  // `url` of the clip, for this browser to try; the pictures of the answer are shown if it cannot.
  constructor(answer, url) {
    this.fragments = answer.fragments;
    this.playing = null; // the fragment after which to stop
    this.video = h("video", {
      src: url, controls: true, muted: true, playsinline: true, preload: "auto",
      "aria-label": "The clip",
    });
    this.video.muted = true;
    this.still = h("img", { alt: "", hidden: true });
    this.note = h("p", { class: "hint", hidden: true },
      "This browser cannot play the file. These are the frames as they were scored.");
    this.head = h("div", { class: "playhead", hidden: true });
    this.columns = this.#columns();
    this.element = h("figure", { class: "film" },
      h("div", { class: "screen" }, this.video, this.still),
      this.note,
      h("figcaption", {}, "Points that each part added (up) or cost (down). Choose one to see it."),
      h("div", { class: "timeline", vars: { "--count": this.fragments.length } },
        h("ol", { class: "columns" }, this.columns.map((column) => h("li", {}, column))),
        this.head,
        this.#stages(),
      ),
    );
    this.video.addEventListener("error", () => this.#showStills());
    this.video.addEventListener("loadedmetadata", () => {
      if (!this.video.videoWidth) this.#showStills(); // sound alone
      else this.#show(0);
    });
    for (const event of ["play", "seeked", "timeupdate"]) {
      this.video.addEventListener(event, () => this.#follow());
    }
    this.video.addEventListener("pause", () => { this.playing = null; });
  }

  // Play one fragment and stop at its end.
  async play(index) {
    const fragment = this.fragments[index];
    this.#mark(index);
    if (fragment.blank) return;
    if (this.video.hidden) {
      this.#showStill(index);
      return;
    }
    this.video.pause();
    this.video.currentTime = fragment.start_s;
    try {
      await this.video.play();
      this.playing = fragment;
    } catch {
      // Where a browser refuses to play, the fragment's first frame is shown all the same.
    }
  }

  #columns() {
    const most = Math.max(...this.fragments.map((f) => Math.abs(f.contribution)), 1e-9);
    const places = digits(this.fragments);
    return this.fragments.map((fragment, index) => {
      const down = fragment.contribution < 0;
      const what = `${fragment.stage ?? "part"}, ${seconds(fragment)}: ${contribution(fragment, places)}`;
      return h("button", {
        type: "button",
        class: `fragment ${fragment.blank ? "blank" : down ? "cost" : "added"}`,
        "aria-label": `Part ${index + 1} of ${this.fragments.length}, ${what}. Play it.`,
        "aria-pressed": "false",
        onclick: () => this.play(index),
        vars: { "--size": (Math.abs(fragment.contribution) / most).toFixed(4) },
      },
      h("span", { class: "plot" },
        h("span", { class: "bar" },
          h("span", { class: "value" }, fragment.blank ? "–" : signed(fragment.contribution, places)))),
      fragment.jpeg ? h("img", { src: picture(fragment), alt: "", width: 64, height: 64 })
        : h("span", { class: "nothing" }));
    });
  }

  // Names of the stages, each under all its fragments.
  #stages() {
    const spans = [];
    for (const { stage } of this.fragments) {
      if (spans.length && spans.at(-1).stage === stage) spans.at(-1).count += 1;
      else spans.push({ stage, count: 1 });
    }
    return h("div", { class: "stages", "aria-hidden": "true" },
      spans.map(({ stage, count }) => h("span", { vars: { "--span": count } }, stage ?? "")));
  }

  #showStills() {
    this.video.hidden = true;
    this.note.hidden = false;
    const shown = this.fragments.filter((fragment) => fragment.jpeg);
    if (shown.length) this.#showStill(shown.at(-1).index);
  }

  #showStill(index) {
    const fragment = this.fragments[index];
    this.still.hidden = !fragment.jpeg;
    if (!fragment.jpeg) return;
    this.still.src = picture(fragment);
    this.still.alt = `Part ${index + 1}, ${fragment.stage ?? ""}, as scored`;
    this.#mark(index);
  }

  #show(time) {
    this.video.currentTime = time;
  }

  #mark(index) {
    this.columns.forEach((column, i) => column.setAttribute("aria-pressed", String(i === index)));
  }

  // Keep the line on the timeline at the moment that the video shows.
  #follow() {
    const time = this.video.currentTime;
    if (this.playing && time >= this.playing.end_s - FRAME_S / 2) {
      const last = this.playing.end_s - FRAME_S;
      this.video.pause();
      this.video.currentTime = last; // this picture may be the next fragment's already
      return;
    }
    const count = this.fragments.length;
    const index = this.fragments.findLastIndex((f) => !f.blank && f.start_s <= time + 0.001);
    this.head.hidden = index < 0;
    if (index >= 0) {
      const { start_s: start, end_s: end } = this.fragments[index];
      const share = Math.min(1, (time - start) / (end - start));
      this.head.style.setProperty("--at", percent((index + share) / count));
      if (!this.video.paused) this.#mark(index);
    }
    cancelAnimationFrame(this.next);
    if (!this.video.paused) this.next = requestAnimationFrame(() => this.#follow());
  }
}
