// One HTML page that needs nothing else: for a file, a mail, an inquiry.

import { h, percent, picture } from "./dom.js";
import { fragmentTable } from "./result.js";
import { contribution, digits, origin, panelVerdict, points, reason, seconds, signed, trust, warning } from "./words.js";

const STYLE = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem;
    color: #16212b; background: #fff; }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
  .number strong { font-size: 3.5rem; line-height: 1; }
  table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .5rem;
    border-bottom: 1px solid #d5dde3; font-variant-numeric: tabular-nums; }
  .frames { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none; }
  .frames img { width: 9rem; height: auto; display: block; border-radius: .4rem; }
  .bar { display: inline-block; height: .7rem; background: #1c7cb8; } .bar.cost { background: #c4570f; }
  .bar { width: var(--size); } .bars td:last-child { width: 60%; }
  .review { border-left: .3rem solid #c4570f; padding-left: 1rem; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .75rem; }
  small { color: #51606c; }`;

// The frames that mattered: those that the network saw of the parts with the most points.
const SHOWN = 4;

export function reportOf(answer, json) {
  const largest = [...answer.fragments]
    .filter((fragment) => fragment.jpeg)
    .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution))
    .slice(0, SHOWN)
    .sort((a, b) => a.index - b.index);
  const places = digits(answer.fragments);
  const most = Math.max(...answer.fragments.map((f) => Math.abs(f.contribution)), 1e-9);
  const body = h("body", {},
    h("h1", {}, `Second opinion: ${answer.action}`),
    h("p", { class: "number" }, h("strong", {}, points(answer.score)), " points"),
    h("p", {}, trust(answer)),
    h("p", {}, origin(answer)),
    answer.needs_review
      ? h("div", { class: "review" }, h("h2", {}, "Needs review"),
          h("ul", {}, answer.review_reasons.map((code) => h("li", {}, reason(code)))))
      : null,
    h("h2", {}, "The parts that mattered most"),
    h("ul", { class: "frames" }, largest.map((fragment) => h("li", {},
      h("img", { src: picture(fragment), alt: `Part ${fragment.index + 1} as scored` }),
      h("strong", {}, fragment.stage ?? `part ${fragment.index + 1}`), h("br"),
      contribution(fragment, places), h("br"), h("small", {}, seconds(fragment))))),
    h("h2", {}, "All parts"),
    h("table", { class: "bars" }, h("tbody", {}, answer.fragments.map((fragment) => h("tr", {},
      h("td", {}, `${fragment.index + 1} ${fragment.stage ?? ""}`),
      h("td", {}, fragment.blank ? "–" : signed(fragment.contribution, 2)),
      h("td", {}, h("span", {
        class: `bar${fragment.contribution < 0 ? " cost" : ""}`,
        vars: { "--size": percent(Math.abs(fragment.contribution) / most) },
      })))))),
    h("p", {}, `Shown nothing, the model says ${points(answer.baseline)}; this and all parts add up to the score.`),
    fragmentTable(answer),
    ...(answer.panel ? panelPart(answer.panel) : []),
    answer.warnings.length
      ? [h("h2", {}, "Warnings"), h("ul", {}, answer.warnings.map((code) => h("li", {}, warning(code))))]
      : null,
    h("h2", {}, "As JSON"),
    h("pre", {}, json));
  const head = h("head", {},
    h("meta", { charset: "utf-8" }),
    h("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    h("title", {}, `Second opinion ${answer.request_id}`),
    h("style", {}, STYLE));
  return `<!doctype html>\n${h("html", { lang: "en" }, head, body).outerHTML}\n`;
}

function panelPart(panel) {
  return [
    h("h2", {}, "The panel"),
    h("p", {}, `Official total ${points(panel.total)}. ${panelVerdict(panel)}`),
    h("table", {}, h("thead", {}, h("tr", {},
      ["Judge", "Mark", "Counts", "From the others", "From the model"]
        .map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, panel.judges.map((judge) => h("tr", {},
      h("th", { scope: "row" }, String(judge.judge)),
      h("td", {}, points(judge.mark, 1) + (judge.out_of_line ? " (out of line)" : "")),
      h("td", {}, judge.counts ? "yes" : "dropped"),
      h("td", {}, signed(judge.from_panel, 2)),
      h("td", {}, judge.from_model === null ? "" : signed(judge.from_model, 2)))))),
  ];
}
