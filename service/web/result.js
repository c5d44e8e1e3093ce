// The answer, for people.

import { h, percent } from "./dom.js";
import { aboutMark, aboutScore, plain, points, signed } from "./numbers.js";
import { claim, origin } from "./origin.js";
import { panelCard } from "./panel.js";
import { fragmentTable } from "./tables.js";
import { diveName, reason, say, sayFor, warning } from "./words.js";

// `checkpoint` as `GET /checkpoints` has it, with its card's `description` if that is known.
// `actions`: what the buttons do, {copy, download, scoreAgain}.
export function resultCards(answer, film, checkpoint, actions) {
  return [
    h("div", { class: "columns-2" }, scoreCard(answer, checkpoint, actions),
      filmCard(film, claim(answer, checkpoint.worth))),
    answer.panel ? panelCard(answer.panel) : null,
    recordCard(answer, actions),
  ].filter((card) => card !== null);
}

export function bigNumbers(answer) {
  const about = aboutScore(answer);
  const mark = aboutMark(answer);
  return [
    h("p", { class: "number" }, ...[
      h("strong", { class: "about-score" }, say("score.about", about)), " ",
      about.low === null ? null : [h("strong", { class: "range" }, say("score.range", about)), " "],
      say("score.points")].flat()),
    mark ? h("p", { class: "mark" }, mark) : null,
  ];
}

function scoreCard(answer, checkpoint, { scoreAgain }) {
  const { interval, dive } = answer;
  return h("section", { class: "card score", "aria-labelledby": "score-title" },
    h("h2", { id: "score-title" }, sayFor("score_of", answer.action)),
    dive ? h("p", { class: "dive" }, diveName(dive)) : null,
    ...bigNumbers(answer),
    interval ? scale(answer, checkpoint.score_range) : null,
    h("p", { class: "trust" }, interval
      ? say("score.coverage", { count: plain(Math.round(interval.coverage * 100) / 10) }) : say("score.no_range")),
    foundPart(answer, scoreAgain),
    answer.needs_review
      ? h("div", { class: "review" }, h("h3", {}, say("score.review")),
          h("p", {}, say("score.review_hint")),
          h("ul", {}, answer.review_reasons.map((code) => h("li", {}, reason(code)))))
      : null,
    h("dl", {},
      answer.difficulty === null ? null
        : [h("dt", {}, say("score.difficulty")), h("dd", {}, plain(answer.difficulty))],
      h("dt", {}, say("score.baseline")), h("dd", {}, points(answer.baseline, 1)),
      h("dt", {}, sayFor("score.parts", answer.action)),
      h("dd", {}, signed(answer.score - answer.baseline, 1))),
    h("p", { class: "hint" }, origin(answer, checkpoint.description)),
  );
}

// Which part of a longer recording the service took for the routine, and the next best one.
function foundPart({ found_s: found, second_choice_s: second }, scoreAgain) {
  if (!found) return null;
  const values = ([start, end]) => ({ start: points(start, 1), end: points(end, 1) });
  return h("div", { class: "found" },
    h("p", {}, say("found.first", values(found))),
    second ? h("button", { type: "button", onclick: () => scoreAgain(second) }, say("found.second", values(second))) : null);
}

// The score on the range of the action, with its interval.
function scale(answer, [lowest, highest]) {
  const { score, interval } = answer;
  const low = Math.min(lowest, interval.low);
  const high = Math.max(highest, interval.high);
  const at = (value) => percent((value - low) / (high - low));
  return h("div", { class: "scale", role: "img", "aria-label": say("score.range_label", aboutScore(answer)) },
    h("span", { class: "band", vars: { "--from": at(interval.low), "--to": at(interval.high) } }),
    h("span", { class: "line", vars: { "--at": at(score) } }),
    h("span", { class: "end from" }, plain(Math.floor(low))),
    h("span", { class: "end to" }, plain(Math.ceil(high))));
}

function filmCard(film, claimed) {
  return h("section", { class: "card", "aria-labelledby": "film-title" },
    h("h2", { id: "film-title" }, say("film.title")), film.element,
    claimed ? h("p", { class: "hint claim" }, claimed) : null);
}

function recordCard(answer, { copy, download }) {
  const { checkpoint, clip } = answer;
  const said = h("span", { role: "status", class: "hint" });
  return h("section", { class: "card", "aria-labelledby": "record-title" },
    h("h3", { id: "record-title" }, say("record.title")),
    answer.warnings.length
      ? h("ul", { class: "warnings" }, answer.warnings.map((code) => h("li", {}, warning(code))))
      : null,
    h("p", { class: "hint provenance" }, say("record.line", {
      score: points(answer.score), model: `${checkpoint.name} ${checkpoint.version}`,
      hash: checkpoint.sha256.slice(0, 12), engine: checkpoint.engine, clip: clip.sha256.slice(0, 12),
      frames: clip.frames, decoded: clip.decoded_frames, size: `${clip.width}×${clip.height}`,
      codec: clip.codec, time: Math.round(answer.timings_ms.total), request: answer.request_id,
    })),
    h("details", {}, h("summary", {}, say("record.table")),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": say("report.parts") },
        fragmentTable(answer))),
    h("div", { class: "go" },
      h("button", { type: "button", onclick: () => { said.textContent = download(); } }, say("record.report")),
      h("button", { type: "button", onclick: async () => { said.textContent = await copy(); } }, say("record.copy")),
      said));
}
