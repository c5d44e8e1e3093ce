// One HTML page that needs nothing else: for a file, a mail, an inquiry.

import { h, percent, picture } from "./dom.js";
import { aboutMark, aboutScore, contribution, contributionDigits, plain, points, seconds, signed } from "./numbers.js";
import { claim, origin } from "./origin.js";
import { mark, panelTable, panelVerdict } from "./panel.js";
import { fragmentTable } from "./tables.js";
import { actionName, diveName, language, reason, say, stageName, warning } from "./words.js";

const STYLE = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem;
    color: #16212b; background: #fff; }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 1.6rem; break-after: avoid; }
  .number strong { font-size: 2.4rem; line-height: 1.1; }
  table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .5rem;
    border-bottom: 1px solid #d5dde3; font-variant-numeric: tabular-nums; vertical-align: top; }
  .facts th { width: 12rem; font-weight: 600; } .facts td { overflow-wrap: anywhere; }
  .frames { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none; }
  .frames img { width: 9rem; height: auto; display: block; border-radius: .4rem; }
  .bar { display: inline-block; height: .7rem; background: #1c7cb8; width: var(--size); }
  .bar.cost { background: #c4570f; } .bars td:last-child { width: 60%; }
  .review { border-left: .3rem solid #c4570f; padding-left: 1rem; }
  .signature { display: grid; grid-template-columns: 1fr 1fr; gap: 2rem; margin: 4rem 0 2rem; break-inside: avoid; }
  .signature p { border-top: 1px solid #16212b; margin: 0; padding-top: .2rem; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .75rem; }
  small, .quiet { color: #51606c; }
  @media print { body { margin: 0; max-width: none; } .data { display: none; } tr, li { break-inside: avoid; } }`;

// The frames that mattered: those that the network saw of the parts with the most points.
const SHOWN = 4;

// `json` is the answer without pictures, `checkpoint` as in `resultCards`.
export function reportOf(answer, { json, fileName, checkpoint, at = new Date() }) {
  const claimed = claim(answer, checkpoint.worth);
  const about = aboutScore(answer);
  const body = h("body", {}, h("main", {},
    h("h1", {}, `${say("report.title")}: ${actionName(answer.action)}`),
    factTable(answer, { fileName, description: checkpoint.description, at }),
    h("p", { class: "number" }, h("strong", {}, say("score.about", about)), ` ${say("score.points")}`,
      about.low === null ? null : [" · ", h("strong", {}, say("score.range", about))].flat()),
    h("p", {}, [
      aboutMark(answer) && `${aboutMark(answer)}.`,
      answer.interval ? say("score.coverage", { count: plain(Math.round(answer.interval.coverage * 100) / 10) })
        : say("score.no_range"),
    ].filter(Boolean).join(" ")),
    answer.needs_review
      ? h("div", { class: "review" }, h("h2", {}, say("score.review")), h("p", {}, say("score.review_hint")),
          h("ul", {}, answer.review_reasons.map((code) => h("li", {}, reason(code)))))
      : null,
    h("h2", {}, say("report.largest")),
    frames(answer),
    h("h2", {}, say("report.parts")),
    bars(answer),
    h("p", {}, say("report.sum", { baseline: points(answer.baseline, 1) })),
    claimed ? h("p", { class: "claim" }, claimed) : null,
    fragmentTable(answer),
    ...(answer.panel ? panelPart(answer.panel) : []),
    ...(answer.warnings.length
      ? [h("h2", {}, say("report.warnings")), h("ul", {}, answer.warnings.map((code) => h("li", {}, warning(code))))]
      : []),
    h("div", { class: "signature" }, h("p", {}, say("report.place")), h("p", {}, say("report.signature"))),
    h("p", { class: "quiet" }, say("page.promise")),
    h("details", { class: "data" }, h("summary", {}, say("report.json")),
      h("p", {}, h("a", {
        href: `data:application/json;charset=utf-8,${encodeURIComponent(json)}`,
        download: `second-opinion-${answer.clip.sha256.slice(0, 12)}.json`,
      }, say("report.json_download"))),
      h("pre", {}, json))));
  const head = h("head", {},
    h("meta", { charset: "utf-8" }),
    h("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    h("title", {}, `${say("report.title")} ${fileName ?? ""}`),
    h("style", {}, STYLE));
  return `<!doctype html>\n${h("html", { lang: language() }, head, body).outerHTML}\n`;
}

function factTable(answer, { fileName, description, at }) {
  const shown = answer.fragments.filter((fragment) => !fragment.blank);
  const { dive, panel, checkpoint, clip } = answer;
  const facts = {
    date: new Intl.DateTimeFormat(language(), { dateStyle: "long", timeStyle: "short" }).format(at),
    file: [fileName, h("br"), h("small", {}, `sha256 ${clip.sha256}`)],
    routine: dive ? diveName(dive) : actionName(answer.action),
    part: shown.length ? say("film.seconds", { start: points(shown[0].start_s, 1), end: points(shown.at(-1).end_s, 1) })
      : "–",
    difficulty: answer.difficulty === null ? say("report.difficulty_none") : plain(answer.difficulty),
    marks: panel ? `${panel.judges.map((judge) => mark(judge.mark)).join(" ")} = ${points(panel.total)}`
      : say("report.marks_none"),
    model: [origin(answer, description), h("br"), h("small", {}, `sha256 ${checkpoint.sha256}`),
      ...(description ? [h("br"), h("small", { lang: "en" }, description)] : [])],
  };
  return h("table", { class: "facts" }, h("tbody", {}, Object.entries(facts).map(([name, value]) =>
    h("tr", {}, h("th", { scope: "row" }, say(`report.${name}`)), h("td", {}, value)))));
}

function frames(answer) {
  const digits = contributionDigits(answer.fragments);
  const largest = [...answer.fragments]
    .filter((fragment) => fragment.jpeg && !fragment.blank)
    .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution))
    .slice(0, SHOWN)
    .sort((a, b) => a.index - b.index);
  return h("ul", { class: "frames" }, largest.map((fragment) => {
    const stage = stageName(fragment.stage);
    return h("li", {},
      h("img", { src: picture(fragment), alt: say("film.frame_label", { number: fragment.index + 1, stage }) }),
      h("strong", {}, stage || say("film.part", { number: fragment.index + 1 })), h("br"),
      contribution(fragment, digits), h("br"), h("small", {}, seconds(fragment)));
  }));
}

function bars({ fragments }) {
  const most = Math.max(...fragments.map((f) => Math.abs(f.contribution)), 1e-9);
  return h("table", { class: "bars" }, h("tbody", {}, fragments.map((fragment) => h("tr", {},
    h("td", {}, `${fragment.index + 1} ${fragment.blank ? say("film.blank") : stageName(fragment.stage)}`),
    h("td", {}, fragment.blank ? "–" : signed(fragment.contribution, 2)),
    h("td", {}, h("span", {
      class: `bar${fragment.contribution < 0 ? " cost" : ""}`,
      vars: { "--size": percent(Math.abs(fragment.contribution) / most) },
    }))))));
}

function panelPart(panel) {
  return [
    h("h2", {}, say("panel.title")),
    h("p", {}, `${say("panel.total")} ${points(panel.total)}. ${panelVerdict(panel)}`),
    panel.rule ? h("p", { lang: "en" }, panel.rule) : null,
    panelTable(panel),
  ].filter((each) => each !== null);
}
