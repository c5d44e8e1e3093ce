// All fragments of an answer as a table.

import { h } from "./dom.js";
import { points, seconds, signed } from "./numbers.js";
import { say, stageName } from "./words.js";

export function fragmentTable(answer) {
  return h("table", {},
    h("thead", {}, h("tr", {}, ["part", "stage", "seconds", "points", "alone", "without"]
      .map((name) => h("th", { scope: "col" }, say(`table.${name}`))))),
    h("tbody", {}, answer.fragments.map((fragment) => h("tr", {},
      h("th", { scope: "row" }, String(fragment.index + 1)),
      h("td", {}, fragment.blank ? say("film.blank") : stageName(fragment.stage)),
      h("td", {}, fragment.start_s === null ? "–" : `${points(fragment.start_s, 1)}–${points(fragment.end_s, 1)}`),
      h("td", {}, signed(fragment.contribution, 2)),
      h("td", {}, points(fragment.alone)),
      h("td", {}, points(fragment.without))))));
}
