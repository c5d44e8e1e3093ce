// Two clips side by side, and below them the order that the service puts them in.

import { h } from "./dom.js";
import { plain, points } from "./numbers.js";
import { Player } from "./player.js";
import { sentence } from "./problems.js";
import { bigNumbers } from "./result.js";
import { say, sayAll } from "./words.js";

const NEARLY_EQUAL = 0.6; // a probability below this is said to be a coin toss

export class Comparison {
  // `rank(rows)` asks the service, once, for the order of two rows of a list.
  constructor(rows, { rank, close }) {
    this.rows = rows;
    this.urls = rows.map(({ file }) => URL.createObjectURL(file));
    this.parts = rows.map(({ answer }) => partOf(answer));
    this.players = this.urls.map((url, i) => new Player(url, { part: () => this.parts[i] }));
    this.sides = this.players.map(({ element }) => h("div", { class: "side" }, element));
    this.verdict = h("p", { class: "verdict", role: "status" });
    this.sayVerdict = () => say("compare.asking");
    const text = (name, key, attributes) => h(name, { ...attributes, "data-say": key });
    this.element = h("section", { class: "card compare", "aria-labelledby": "compare-title" },
      text("h2", "compare.title", { id: "compare-title" }),
      h("div", { class: "pair" }, this.sides),
      this.verdict,
      h("div", { class: "go" },
        text("button", "compare.play", { type: "button", id: "play-both", onclick: () => this.play() }),
        text("button", "compare.close", { type: "button", onclick: close })));
    this.players.forEach(({ canPlay, video, controls, screen }, i) => canPlay.then((can) => {
      if (can) this.players[i].show(this.parts[i][0]);
      else {
        video.hidden = controls.hidden = true;
        screen.append(sayAll(h("div", {}, text("p", "compare.unplayable", { class: "cannot" }))));
      }
    }));
    this.say();
    this.#ask(rank);
  }

  // All texts, in the language that is chosen now.
  say() {
    sayAll(this.element);
    this.rows.forEach(({ file, answer }, i) => this.sides[i].replaceChildren(
      ...[this.players[i].element, h("h3", {}, file.name), ...bigNumbers(answer)].filter(Boolean)));
    this.verdict.textContent = this.sayVerdict();
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
      this.sayVerdict = () => say("compare.parts");
    } else {
      try {
        const ranking = await rank(this.rows);
        const failed = ranking.clips.find((clip) => clip.problem);
        if (failed || !ranking.pairs.length) throw failed.problem;
        this.sayVerdict = () => verdictOf(ranking, this.rows.map(({ file }) => file.name));
      } catch (problem) {
        if (!problem?.type) throw problem;
        this.sayVerdict = () => sentence(problem);
      }
    }
    this.verdict.textContent = this.sayVerdict();
  }
}

function verdictOf({ order, pairs: [{ difference, probability }] }, names) {
  const [first, second] = order.map((index) => names[index]);
  const sentences = [say("compare.order", { first, second, points: points(difference, 1) })];
  if (probability === null) sentences.push(say("compare.not_calibrated"));
  else sentences.push(say("compare.probability", { share: plain(Math.round(100 * probability)) }));
  if (probability !== null && probability < NEARLY_EQUAL) sentences.push(say("compare.uncertain"));
  return sentences.join(" ");
}

// The part of the file that was scored, seconds.
function partOf({ fragments }) {
  const shown = fragments.filter((fragment) => !fragment.blank);
  return [shown[0].start_s, shown.at(-1).end_s];
}
