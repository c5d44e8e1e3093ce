// The answer, for people.

import { h, percent } from "./dom.js";
import { panelCard } from "./panel.js";
import { origin, points, reason, seconds, signed, trust, warning } from "./words.js";

const NOUNS = { diving: "dive", vault: "vault" };

export function resultCards(answer, film, checkpoint, actions) {
  return [
    h("div", { class: "columns-2" }, scoreCard(answer, checkpoint), filmCard(film)),
    answer.panel ? panelCard(answer.panel) : null,
    detailsCard(answer, actions),
  ].filter((card) => card !== null);
}

function scoreCard(answer, checkpoint) {
  return h("section", { class: "card score", "aria-labelledby": "score-title" },
    h("h2", { id: "score-title" }, `Score of this ${NOUNS[answer.action] ?? "routine"}`),
    h("p", { class: "number" }, h("strong", {}, points(answer.score)), " points"),
    answer.interval ? scale(answer, checkpoint.score_range) : null,
    h("p", { class: "trust" }, trust(answer)),
    answer.needs_review
      ? h("div", { class: "review" }, h("h3", {}, "Needs review"),
          h("p", {}, "A person should look before this score is used:"),
          h("ul", {}, answer.review_reasons.map((code) => h("li", {}, reason(code)))))
      : null,
    h("dl", {},
      answer.execution === null ? null
        : [h("dt", {}, "Execution"), h("dd", {}, points(answer.execution)),
           h("dt", {}, "Difficulty"), h("dd", {}, String(answer.difficulty))],
      h("dt", {}, "With nothing to see"), h("dd", {}, points(answer.baseline)),
      h("dt", {}, "All parts together"),
      h("dd", {}, signed(answer.score - answer.baseline, 2))),
    h("p", { class: "hint" }, origin(answer)),
  );
}

// The score on the range of the action, with its interval.
function scale({ score, interval }, [lowest, highest]) {
  const low = Math.min(lowest, interval.low);
  const high = Math.max(highest, interval.high);
  const at = (value) => percent((value - low) / (high - low));
  return h("div", {
    class: "scale", role: "img",
    "aria-label": `${points(score)}, between ${points(interval.low, 1)} and ${points(interval.high, 1)}`,
  },
  h("span", { class: "band", vars: { "--from": at(interval.low), "--to": at(interval.high) } }),
  h("span", { class: "line", vars: { "--at": at(score) } }),
  h("span", { class: "end from", vars: { "--at": at(interval.low) } }, points(interval.low, 1)),
  h("span", { class: "end to", vars: { "--at": at(interval.high) } }, points(interval.high, 1)));
}

function filmCard(film) {
  return h("section", { class: "card", "aria-labelledby": "film-title" },
    h("h2", { id: "film-title" }, "Where the points come from"), film.element);
}

function detailsCard(answer, { copy, download }) {
  const { checkpoint, clip } = answer;
  const said = h("span", { role: "status", class: "hint" });
  return h("section", { class: "card", "aria-labelledby": "details-title" },
    h("h3", { id: "details-title" }, "For the record"),
    answer.warnings.length
      ? h("ul", { class: "warnings" }, answer.warnings.map((code) => h("li", {}, warning(code))))
      : null,
    h("p", { class: "hint provenance" },
      `Model ${checkpoint.name} ${checkpoint.version} (${checkpoint.sha256.slice(0, 12)}) on ${checkpoint.engine}; `,
      `clip ${clip.sha256.slice(0, 12)}, ${clip.frames} of ${clip.decoded_frames} frames, `,
      `${clip.width}×${clip.height} ${clip.codec}; ${Math.round(answer.timings_ms.total)} ms; `,
      `request ${answer.request_id}.`),
    h("details", {}, h("summary", {}, "All parts as a table"),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "All parts" },
        fragmentTable(answer))),
    h("div", { class: "go" },
      h("button", { type: "button", onclick: async () => { said.textContent = await copy(); } },
        "Copy as JSON"),
      h("button", { type: "button", onclick: () => { said.textContent = download(); } },
        "Download report"),
      said));
}

export function fragmentTable(answer) {
  return h("table", {},
    h("thead", {}, h("tr", {}, ["Part", "Stage", "Seconds", "Points", "Alone", "Without it"]
      .map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, answer.fragments.map((fragment) => h("tr", {},
      h("th", { scope: "row" }, String(fragment.index + 1)),
      h("td", {}, fragment.stage ?? ""),
      h("td", {}, fragment.blank ? "–" : seconds(fragment).replace(" seconds", "")),
      h("td", {}, signed(fragment.contribution, 2)),
      h("td", {}, points(fragment.alone)),
      h("td", {}, points(fragment.without))))));
}
