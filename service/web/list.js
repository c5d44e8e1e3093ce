// Many clips of one evening: scored one after another, in a table that can be sorted and saved.

import { h } from "./dom.js";
import { csvOf } from "./csv.js";
import { aboutScore, markNumbers, plain, written } from "./numbers.js";
import { sentence } from "./problems.js";
import { save } from "./save.js";
import { say } from "./words.js";

export const MOST = 100; // clips; each keeps its answer with pictures in memory
const DIVE = /^(\d{3,4}[a-d])(?:[\s,/]+([\d.,]+)\s*m?)?$/i; // "107B 3", "107B"

// What is sent of an entry: a difficulty, or a dive with its height in metres.
export function entryOf(text, height = "") {
  const dive = DIVE.exec(text.trim());
  if (!dive) return { difficulty: written(text) };
  return { dive: dive[1].toUpperCase(), height: dive[2] ? written(dive[2]) : height };
}

const SORTS = {
  clip: (a, b) => a.file.name.localeCompare(b.file.name, undefined, { numeric: true }),
  score: (a, b) => (b.answer?.score ?? -Infinity) - (a.answer?.score ?? -Infinity),
};

export class ClipList {
  // `actions`: what the buttons do, {show(row), compare(first, second), onEntry()}.
  constructor(files, actions) {
    this.actions = actions;
    this.rows = files.map((file) => ({ file, state: "waiting", answer: null, problem: null, entry: "", picked: false }));
    this.order = null; // or a name of SORTS, of which the first choice sorts forwards
    this.backwards = false;
    this.said = h("p", { class: "hint", role: "status" });
    this.element = h("section", { class: "card list", "aria-labelledby": "list-title" });
    this.draw();
  }

  // All rows wait again: what was scored belongs to other entries.
  reset() {
    for (const row of this.rows) Object.assign(row, { state: "waiting", answer: null, problem: null, picked: false });
    this.draw();
  }

  // Score every clip that has no answer. `score(row)` returns an answer, or throws.
  async run(score, isCurrent) {
    for (const [index, row] of this.rows.entries()) {
      if (row.answer) continue;
      this.#set(row, { state: "scoring", problem: null });
      try {
        const answer = await score(row, index);
        if (!isCurrent()) return;
        this.#set(row, { state: "done", answer });
      } catch (problem) {
        if (!isCurrent()) return;
        if (problem.status === 401 || !problem.type) throw problem; // of no clip alone
        this.#set(row, { state: "failed", problem });
      }
    }
  }

  stop() {
    for (const row of this.rows) if (row.state === "scoring") row.state = "waiting";
    this.draw();
  }

  draw() {
    const picked = this.rows.filter((row) => row.picked);
    const { id: focused, selectionStart: at } = document.activeElement ?? {};
    this.element.replaceChildren(
      h("h2", { id: "list-title" }, say("list.title")),
      h("p", { class: "hint" }, say("list.hint")),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": say("list.table") },
        h("table", {}, h("thead", {}, h("tr", {}, this.#headings())),
          h("tbody", {}, this.#sorted().map((row) => this.#row(row, picked.length))))),
      h("div", { class: "go" },
        h("button", {
          type: "button", id: "compare-two", disabled: picked.length !== 2,
          onclick: () => this.actions.compare(...picked),
        }, say("list.compare_two")),
        h("button", { type: "button", id: "csv", disabled: !this.rows.some((row) => row.answer), onclick: () => this.#save() },
          say("list.csv"))),
      h("p", { class: "hint" }, say("list.compare_hint")),
      this.said);
    const again = focused ? this.element.querySelector(`#${CSS.escape(focused)}`) : null;
    again?.focus(); // it was drawn anew
    if (again?.type === "text") again.setSelectionRange(at, at);
  }

  #set(row, values) {
    Object.assign(row, values);
    this.draw();
  }

  #sorted() {
    if (!this.order) return this.rows;
    const sorted = [...this.rows].sort(SORTS[this.order]);
    return this.backwards ? sorted.reverse() : sorted;
  }

  #headings() {
    return ["pick", "clip", "score", "judge", "state", "entry"].map((name) => {
      if (!SORTS[name]) return h("th", { scope: "col" }, say(`list.${name}`));
      const direction = this.order !== name ? "none" : (name === "score") !== this.backwards ? "descending" : "ascending";
      return h("th", { scope: "col", "aria-sort": direction },
        h("button", {
          type: "button", class: "sort", id: `sort-${name}`, onclick: () => this.#sort(name),
        }, say(`list.${name}`), { none: " ↕", ascending: " ↑", descending: " ↓" }[direction]));
    });
  }

  #sort(name) {
    this.backwards = this.order === name && !this.backwards;
    this.order = name;
    this.draw();
  }

  #row(row, picked) {
    const { file, answer } = row;
    const index = this.rows.indexOf(row);
    const about = answer && aboutScore(answer);
    const mark = answer && markNumbers(answer);
    const range = (numbers) => (numbers.low === null ? "" : ` (${numbers.low}–${numbers.high})`);
    return h("tr", { class: row.problem ? "attention" : null },
      h("td", {}, h("input", {
        type: "checkbox", id: `pick-${index}`, checked: row.picked, "data-no-entry": true,
        disabled: !answer || (picked >= 2 && !row.picked), "aria-label": say("list.compare", { name: file.name }),
        onchange: (event) => this.#set(row, { picked: event.target.checked }),
      })),
      h("th", { scope: "row" }, answer
        ? h("button", {
          type: "button", class: "link", id: `show-${index}`, "aria-label": say("list.show", { name: file.name }),
          onclick: () => this.actions.show(row),
        }, file.name)
        : file.name),
      h("td", {}, about ? [h("strong", {}, say("score.about", about)), range(about)] : "–"),
      h("td", {}, mark ? mark.mark + range(mark) : "–"),
      h("td", {}, this.#state(row)),
      h("td", {}, h("input", {
        type: "text", class: "entry", id: `entry-${index}`, value: row.entry, autocomplete: "off",
        "aria-label": say("list.entry_label", { name: file.name }), disabled: row.state === "scoring",
        oninput: (event) => this.#entered(row, event.target.value),
      })));
  }

  #state({ state, answer, problem }) {
    if (problem) {
      const wrong = problem.errors?.length ? problem.detail : null; // which entry, and why
      return [sentence(problem), wrong ? h("span", { lang: "en" }, ` (${wrong})`) : null];
    }
    if (answer) return say(answer.needs_review ? "list.review" : "list.fine");
    return say(`list.${state}`);
  }

  #entered(row, text) {
    row.entry = text;
    if (row.state === "waiting") return;
    this.#set(row, { state: "waiting", answer: null, problem: null, picked: false });
    this.actions.onEntry();
  }

  #save() {
    save("second-opinion.csv", csvOf(this.#sorted()), "text/csv;charset=utf-8");
    this.said.textContent = say("list.saved", { count: plain(this.rows.length) });
  }
}
