// The panel check: the official total, every judge's mark among the others, who is out of line.

import { h, percent } from "./dom.js";
import { plain, points, rarity, signed } from "./numbers.js";
import { diveName, say } from "./words.js";

// Marks of a panel in steps: diving's in halves, vault's in tenths.
export const mark = (value) => points(value, 1);

export function panelCard(panel) {
  const sum = panel.action === "diving"
    ? `${plain(panel.execution)} × ${plain(panel.difficulty)}`
    : `${plain(panel.difficulty)} + ${points(panel.execution, 3)}`
      + (panel.deductions ? ` − ${plain(panel.deductions)}` : "");
  return h("section", { class: "card panel", "aria-labelledby": "panel-title" },
    h("h3", { id: "panel-title" }, say("panel.title")),
    panel.dive && !panel.model ? h("p", {}, diveName(panel.dive)) : null, // with a clip it stands above
    h("p", {}, `${say("panel.total")} `, h("strong", { class: "total" }, points(panel.total)),
      h("span", { class: "hint" }, ` = ${sum}`)),
    panel.rule ? h("p", { class: "hint", lang: "en" }, panel.rule) : null,
    h("p", { class: panel.out_of_line.length ? "verdict attention" : "verdict" },
      panelVerdict(panel)),
    plot(panel),
    h("p", { class: "hint", "aria-hidden": "true" }, say(panel.model ? "panel.legend_model" : "panel.legend")),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": say("panel.marks") }, panelTable(panel)),
  );
}

export function panelTable(panel) {
  const withModel = panel.model !== null;
  const several = new Set(panel.judges.map((judge) => judge.role)).size > 1;
  const titles = ["judge", several && "role", "mark", "counts", "from_panel", withModel && "from_model", "real_share"];
  return h("table", {},
    h("thead", {}, h("tr", {}, titles.filter(Boolean).map((name) =>
      h("th", { scope: "col" }, say(`panel.${name}`))))),
    h("tbody", {}, panel.judges.map((judge) =>
      h("tr", { class: judge.out_of_line ? "attention" : null },
        h("th", { scope: "row" }, String(judge.judge)),
        several ? h("td", { lang: "en" }, judge.role) : null,
        h("td", {}, mark(judge.mark)),
        h("td", {}, say(judge.counts ? "panel.yes" : "panel.dropped")),
        h("td", {}, signed(judge.from_panel, 2)),
        withModel ? h("td", {}, signed(judge.from_model, 2)) : null,
        h("td", {}, rarity(judge.real_share) + (judge.out_of_line ? ` · ${say("panel.out")}` : ""))))),
  );
}

export function panelVerdict(panel) {
  const sentences = [];
  if (panel.judges.every((judge) => judge.out_of_line === null)) sentences.push(say("panel.unknown"));
  else if (panel.out_of_line.length) {
    sentences.push(say("panel.out_judges", { judges: panel.out_of_line.join(", ") }));
  } else sentences.push(say("panel.none_out"));
  const { model } = panel;
  if (model && model.agrees !== null) {
    sentences.push(say(model.agrees ? "panel.agrees" : "panel.disagrees",
      { low: mark(model.low), high: mark(model.high) }));
  }
  return sentences.join(" ");
}

function plot(panel) {
  const { model, judges } = panel;
  const all = judges.map((judge) => judge.mark);
  if (model) all.push(model.mark);
  const low = Math.max(0, Math.floor(Math.min(...all) - 0.5));
  const high = Math.min(10, Math.ceil(Math.max(...all) + 0.5));
  const at = (value) => percent(Math.min(1, Math.max(0, (value - low) / (high - low))));
  const seen = new Map();
  const dots = judges.map((judge) => {
    const level = seen.get(judge.mark) ?? 0;
    seen.set(judge.mark, level + 1);
    return h("span", {
      class: `dot${judge.counts ? "" : " dropped"}${judge.out_of_line ? " attention" : ""}`,
      vars: { "--at": at(judge.mark), "--level": level },
    }, String(judge.judge));
  });
  const ticks = Array.from({ length: high - low + 1 }, (_, i) =>
    h("span", { class: "tick", vars: { "--at": at(low + i) } }, String(low + i)));
  const band = model && model.low !== null
    ? h("span", { class: "band", vars: { "--from": at(model.low), "--to": at(model.high) } }) : null;
  const line = model ? h("span", { class: "line", vars: { "--at": at(model.mark) } }) : null;
  const levels = Math.max(...seen.values());
  return h("div", { class: "marks", "aria-hidden": "true", vars: { "--levels": levels } },
    band, line, dots, ticks);
}
