// The video with its timeline: a column a fragment, its bar the points it added or cost.

import { h, percent, picture } from "./dom.js";
import { contribution, contributionDigits, seconds, signed } from "./numbers.js";
import { Player } from "./player.js";
import { say, stageName } from "./words.js";

export class Film {
  // `url` of the clip, for this browser to try; the pictures of the answer are shown if it cannot.
  constructor(answer, url) {
    this.fragments = answer.fragments;
    const shown = this.fragments.filter((fragment) => !fragment.blank);
    this.player = new Player(url, {
      native: true,
      part: () => (shown.length ? [shown[0].start_s, shown.at(-1).end_s] : null),
      onTime: (time) => this.#follow(time),
    });
    this.still = h("img", { alt: "", hidden: true });
    this.player.screen.append(this.still);
    this.note = h("p", { class: "hint", hidden: true }, say("video.unplayable"));
    this.head = h("div", { class: "playhead", hidden: true });
    this.columns = this.#columns();
    this.element = h("figure", { class: "film" },
      this.player.element,
      this.note,
      h("figcaption", {}, say("film.caption")),
      h("div", { class: "timeline", vars: { "--count": this.fragments.length } },
        h("ol", { class: "columns" }, this.columns.map((column) => h("li", {}, column))),
        this.head,
        this.#stages(),
      ),
    );
    this.player.canPlay.then((can) => {
      if (can) this.player.show(shown.length ? shown[0].start_s : 0);
      else this.#showStills();
    });
  }

  // Play one fragment and stop at its end.
  async play(index) {
    const fragment = this.fragments[index];
    this.#mark(index);
    if (fragment.blank) return;
    if (this.player.video.hidden) this.#showStill(index);
    else await this.player.play(fragment.start_s, fragment.end_s);
  }

  #columns() {
    const most = Math.max(...this.fragments.map((f) => Math.abs(f.contribution)), 1e-9);
    const digits = contributionDigits(this.fragments);
    return this.fragments.map((fragment, index) => {
      const down = fragment.contribution < 0;
      const values = { number: index + 1, count: this.fragments.length };
      const label = fragment.blank ? say("film.blank_label", values) : say("film.part_label", {
        ...values, stage: stageName(fragment.stage), time: seconds(fragment), what: contribution(fragment, digits),
      });
      return h("button", {
        type: "button",
        class: `fragment ${fragment.blank ? "blank" : down ? "cost" : "added"}`,
        "aria-label": label,
        "aria-pressed": "false",
        onclick: () => this.play(index),
        vars: { "--size": (Math.abs(fragment.contribution) / most).toFixed(4) },
      },
      h("span", { class: "plot" },
        h("span", { class: "bar" },
          fragment.blank ? null : h("span", { class: "value" }, signed(fragment.contribution, digits)))),
      // Without a picture its middle frame lies before the file's first one, or behind its last.
      fragment.jpeg ? h("img", { src: picture(fragment), alt: "", width: 64, height: 64 })
        : h("span", { class: "nothing" }, say("film.blank")));
    });
  }

  // Names of the stages, each under all its fragments. A blank fragment shows no stage.
  #stages() {
    const spans = [];
    for (const { stage, blank } of this.fragments) {
      const name = blank ? "" : stageName(stage);
      if (spans.length && spans.at(-1).name === name) spans.at(-1).count += 1;
      else spans.push({ name, count: 1 });
    }
    return h("div", { class: "stages", "aria-hidden": "true" },
      spans.map(({ name, count }) => h("span", { class: name ? null : "none", vars: { "--span": count } }, name)));
  }

  #showStills() {
    this.player.video.hidden = this.player.controls.hidden = true;
    this.note.hidden = false;
    const shown = this.fragments.filter((fragment) => fragment.jpeg);
    if (shown.length) this.#showStill(shown.at(-1).index);
  }

  #showStill(index) {
    const fragment = this.fragments[index];
    this.still.hidden = !fragment.jpeg;
    if (!fragment.jpeg) return;
    this.still.src = picture(fragment);
    this.still.alt = say("film.frame_label", { number: index + 1, stage: stageName(fragment.stage) });
    this.#mark(index);
  }

  #mark(index) {
    this.columns.forEach((column, i) => column.setAttribute("aria-pressed", String(i === index)));
  }

  // Keep the line on the timeline at the moment that the video shows.
  #follow(time) {
    const count = this.fragments.length;
    const index = this.fragments.findLastIndex((f) => !f.blank && f.start_s <= time + 0.001);
    this.head.hidden = index < 0;
    if (index < 0) return;
    const { start_s: start, end_s: end } = this.fragments[index];
    const share = Math.min(1, (time - start) / (end - start));
    this.head.style.setProperty("--at", percent((index + share) / count));
    if (!this.player.video.paused) this.#mark(index);
  }
}
