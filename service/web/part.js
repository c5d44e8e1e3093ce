// The chosen video at once, and which part of it is scored: found by the service, chosen with two
// handles, or in seconds where the browser cannot play the file.

import { h } from "./dom.js";
import { Handles } from "./handles.js";
import { points, written } from "./numbers.js";
import { patience, Player } from "./player.js";
import { FRAME_S, Range } from "./range.js";
import { say, sayAll } from "./words.js";

export class Part {
  // At most `most` seconds are scored, and the service may be able to find the routine (`canFind`).
  // `onChange` is called when a person chooses another part.
  constructor(file, { most, canFind }, onChange) {
    this.most = most;
    this.canFind = canFind;
    this.onChange = onChange;
    this.range = null; // while the length is not known
    this.handles = null;
    this.begun = false;
    this.locked = false; // while the clip is being scored
    this.found = null; // seconds, in words
    this.url = URL.createObjectURL(file);
    this.player = new Player(this.url, {
      part: () => this.range && [this.range.start, this.range.end],
      onTime: (time) => this.handles?.showTime(time),
    });
    this.find = h("input", { type: "checkbox", id: "find", checked: true, onchange: () => this.#draw() });
    this.together = h("input", {
      type: "checkbox", id: "together", "data-no-entry": true,
      onchange: () => { this.range.together = this.together.checked; },
    });
    const number = (name) => h("div", {},
      h("label", { for: name, "data-say": `part.${name}` }),
      h("input", { id: name, type: "text", inputmode: "decimal", autocomplete: "off", oninput: () => this.#draw() }));
    this.numbers = h("div", { class: "fields", hidden: true }, number("start_s"), number("end_s"));
    this.note = h("p", { class: "part-note", role: "status" });
    this.findLabel = h("label", { class: "check", hidden: true }, this.find, h("span", { "data-say": "part.find" }));
    this.hereButtons = ["start", "end"].map((which) => h("button", {
      type: "button", class: "small", "data-say": `part.${which}_here`, onclick: () => this.#here(which),
    }));
    this.choice = h("div", { class: "choice", hidden: true }, ...this.hereButtons,
      h("label", { class: "check" }, this.together, h("span", { "data-say": "part.together" })));
    this.slot = h("div", {});
    this.help = h("p", { class: "hint keys", hidden: true, "data-say": "part.help" });
    this.element = h("section", { class: "part" },
      this.player.element, this.slot, this.note, this.findLabel, this.choice, this.numbers, this.help);
    this.say();
    this.player.canPlay.then((can) => this.#begin(can));
    const late = patience();
    late.then(() => { if (!this.begun) this.#begin(false); });
    this.ready = Promise.race([this.player.canPlay, late]); // from then on `fields` are known
  }

  // Another action: another length is scored.
  setAction({ most, canFind }) {
    if (most === this.most && canFind === this.canFind) return;
    Object.assign(this, { most, canFind });
    if (!this.range) {
      if (this.begun) this.#begin(false);
      return;
    }
    const { end } = this.range;
    this.#begin(true);
    if (!this.finds) this.range.set(end - this.range.most, end); // what a person chose
    this.#draw();
  }

  // All texts, in the language that is chosen now.
  say() {
    this.element.setAttribute("aria-label", say("part.title"));
    sayAll(this.element);
    if (this.begun) this.#draw();
  }

  // Whether the service is to look for the routine.
  get finds() {
    return !this.findLabel.hidden && this.find.checked;
  }

  get isPlayable() {
    return this.range !== null;
  }

  // What the form sends of it.
  fields() {
    const [start, end] = ["start_s", "end_s"].map((name) => written(this.numbers.querySelector(`#${name}`).value));
    if (!this.isPlayable && (start || end)) return { start_s: start, end_s: end };
    if (this.finds) return { find: "true" };
    return this.isPlayable ? this.range.fields() : {};
  }

  // Put the handles at the part that the service has found.
  showFound([start, end]) {
    if (this.range) {
      this.range.set(start, end);
      this.player.show(start + FRAME_S / 4);
    }
    this.found = { start: points(start, 1), end: points(end, 1) };
    this.#draw();
  }

  // A person's choice, from then on.
  choose([start, end]) {
    this.find.checked = false;
    if (this.range) this.range.set(start, end);
    else {
      this.numbers.querySelector("#start_s").value = String(start);
      this.numbers.querySelector("#end_s").value = String(end);
    }
    this.#draw();
    this.onChange();
  }

  setLocked(locked) {
    this.locked = locked;
    if (this.handles) this.handles.locked = locked;
    this.handles?.draw();
  }

  forget() {
    this.player.video.removeAttribute("src");
    this.player.video.load();
    URL.revokeObjectURL(this.url);
  }

  #begin(canPlay) {
    this.begun = true;
    if (canPlay) {
      this.range = new Range(this.player.video.duration, this.most);
      this.handles = new Handles(this.range, {
        onMove: (which) => this.#moved(which),
        onSeek: (time) => this.player.show(time),
      });
      this.handles.locked = this.locked;
      this.slot.replaceChildren(this.handles.element);
      this.handles.drawPictures(this.url);
      this.together.checked = this.range.together;
    }
    this.player.element.hidden = !canPlay;
    this.numbers.hidden = canPlay;
    this.choice.hidden = this.help.hidden = !canPlay;
    this.findLabel.hidden = !this.canFind || (canPlay && !this.range.isLong);
    this.#draw();
  }

  #moved(which) {
    this.find.checked = false;
    this.player.show(which === "end" ? this.range.end - FRAME_S / 2 : this.range.start + FRAME_S / 4);
    this.#draw();
    this.onChange();
  }

  // The picture on the screen becomes the first or the last one of the part.
  #here(which) {
    const time = this.player.video.currentTime;
    this.range.move(which, which === "end" ? time + FRAME_S / 2 : time);
    this.handles.draw();
    this.#moved(which);
  }

  #draw() {
    this.note.textContent = this.#sentence();
    this.element.classList.toggle("finds", this.finds);
    this.handles?.draw();
  }

  #sentence() {
    if (!this.range) return say("part.unplayable");
    const { start, end, length, total, isWhole } = this.range;
    const values = { start: points(start, 1), end: points(end, 1), length: points(length, 1), total: points(total, 1) };
    if (this.finds && this.found) return say("found.first", this.found);
    if (this.finds) return say("part.finds", { ...values, length: points(this.most, 1) });
    return say(isWhole ? "part.whole" : "part.chosen", values);
  }
}
