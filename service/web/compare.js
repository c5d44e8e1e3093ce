// Two clips side by side, and below them the order that the service puts them in.

import { h } from "./dom.js";
import { plain, points } from "./numbers.js";
import { Player } from "./player.js";
import { sentence } from "./problems.js";
import { bigNumbers } from "./result.js";
import { say } from "./words.js";

const NEARLY_EQUAL = 0.6; // a probability below this is said to be a coin toss

export class Comparison {
  // `rank(rows)` asks the service for the order of two rows of a list.
  constructor(rows, { rank, close }) {
    this.rows = rows;
    this.urls = rows.map(({ file }) => URL.createObjectURL(file));
    this.parts = rows.map(({ answer }) => partOf(answer));
    this.players = this.urls.map((url, i) => new Player(url, { part: () => this.parts[i] }));
    this.verdict = h("p", { class: "verdict", role: "status" }, say("compare.asking"));
    this.element = h("section", { class: "card compare", "aria-labelledby": "compare-title" },
      h("h2", { id: "compare-title" }, say("compare.title")),
      h("div", { class: "pair" }, rows.map(({ file, answer }, i) =>
        h("div", { class: "side" },
          this.players[i].element, h("h3", {}, file.name), ...bigNumbers(answer)))),
      this.verdict,
      h("div", { class: "go" },
        h("button", { type: "button", id: "play-both", onclick: () => this.play() }, say("compare.play")),
        h("button", { type: "button", onclick: close }, say("compare.close"))));
    this.players.forEach(({ canPlay, video, controls, screen }, i) => canPlay.then((can) => {
      if (can) this.players[i].show(this.parts[i][0]);
      else {
        video.hidden = controls.hidden = true;
        screen.append(h("p", { class: "cannot" }, say("compare.unplayable")));
      }
    }));
    this.#ask(rank);
  }

  // Both from the beginning of what was scored.
  play() {
    this.players.forEach((player, i) => player.play(...this.parts[i]));
  }

  forget() {
    for (const url of this.urls) URL.revokeObjectURL(url);
  }

  async #ask(rank) {
    if (this.rows.some(({ answer, range }) => answer.found_s || range)) {
      this.verdict.textContent = say("compare.parts");
      return;
    }
    try {
      const { order, pairs, clips } = await rank(this.rows);
      const failed = clips.find((clip) => clip.problem);
      if (failed || !pairs.length) throw failed.problem;
      const [{ difference, probability }] = pairs;
      const [first, second] = order.map((index) => this.rows[index].file.name);
      const sentences = [say("compare.order", { first, second, points: points(difference, 1) })];
      if (probability === null) sentences.push(say("compare.not_calibrated"));
      else sentences.push(say("compare.probability", { share: plain(Math.round(100 * probability)) }));
      if (probability !== null && probability < NEARLY_EQUAL) sentences.push(say("compare.uncertain"));
      this.verdict.textContent = sentences.join(" ");
    } catch (problem) {
      if (!problem?.type) throw problem;
      this.verdict.textContent = sentence(problem);
    }
  }
}

// The part of the file that was scored, seconds.
function partOf({ fragments }) {
  const shown = fragments.filter((fragment) => !fragment.blank);
  return [shown[0].start_s, shown.at(-1).end_s];
}
