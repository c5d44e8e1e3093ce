// The panel check: the official total, every judge's mark among the others, who is out of line.

import { h, percent } from "./dom.js";
import { panelVerdict, points, rarity, signed } from "./words.js";

export function panelCard(panel) {
  const sum = panel.action === "diving"
    ? `${points(panel.execution, 1)} × ${panel.difficulty}`
    : `${panel.difficulty} + ${points(panel.execution, 3)}`
      + (panel.deductions ? ` − ${panel.deductions}` : "");
  return h("section", { class: "card panel", "aria-labelledby": "panel-title" },
    h("h3", { id: "panel-title" }, "The panel"),
    h("p", {}, "Official total ", h("strong", { class: "total" }, points(panel.total)),
      h("span", { class: "hint" }, ` = ${sum}`)),
    h("p", { class: panel.out_of_line.length ? "verdict attention" : "verdict" },
      panelVerdict(panel)),
    plot(panel),
    h("p", { class: "hint", "aria-hidden": "true" },
      `Judges by number; outlined: dropped${panel.model ? "; shaded: what the model expects" : ""}.`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Marks" }, table(panel)),
  );
}

function table(panel) {
  const withModel = panel.model !== null;
  const several = new Set(panel.judges.map((judge) => judge.role)).size > 1;
  return h("table", {},
    h("thead", {}, h("tr", {},
      h("th", { scope: "col" }, "Judge"),
      several ? h("th", { scope: "col" }, "Marks") : null,
      h("th", { scope: "col" }, "Mark"),
      h("th", { scope: "col" }, "Counts"),
      h("th", { scope: "col" }, "From the others"),
      withModel ? h("th", { scope: "col" }, "From the model") : null,
      h("th", { scope: "col" }, "Real marks as far out"))),
    h("tbody", {}, panel.judges.map((judge) =>
      h("tr", { class: judge.out_of_line ? "attention" : null },
        h("th", { scope: "row" }, String(judge.judge)),
        several ? h("td", {}, judge.role) : null,
        h("td", {}, points(judge.mark, 1)),
        h("td", {}, judge.counts ? "yes" : "dropped"),
        h("td", {}, signed(judge.from_panel, 2)),
        withModel ? h("td", {}, signed(judge.from_model, 2)) : null,
        h("td", {}, rarity(judge.real_share) + (judge.out_of_line ? " · out of line" : ""))))),
  );
}

function plot(panel) {
  const { model, judges } = panel;
  const all = judges.map((judge) => judge.mark);
  if (model) all.push(model.mark);
  const low = Math.max(0, Math.floor(Math.min(...all) - 0.5));
  const high = Math.min(10, Math.ceil(Math.max(...all) + 0.5));
  const at = (mark) => percent(Math.min(1, Math.max(0, (mark - low) / (high - low))));
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
