// A list of clips as a table for spreadsheets, in the way that the chosen language writes numbers.

import { points } from "./numbers.js";
import { sentence } from "./problems.js";
import { reason, say } from "./words.js";

const BYTE_ORDER_MARK = "\uFEFF"; // so that spreadsheets read it as UTF-8

export function csvOf(rows) {
  // Where numbers have a decimal comma, spreadsheets expect a semicolon between the cells.
  const separator = points(0.5, 1).includes(",") ? ";" : ",";
  const number = (value) => (value === null || value === undefined ? "" : points(value));
  const names = ["clip", "action", "score", "low", "high", "difficulty", "execution", "start", "end", "state", "reasons", "model", "sha256", "error"];
  const lines = [names.map((name) => say(`csv.${name}`)), ...rows.map(({ file, answer, problem }) => {
    const shown = answer?.fragments.filter((fragment) => !fragment.blank) ?? [];
    return [
      text(file.name), answer?.action ?? "", number(answer?.score), number(answer?.interval?.low),
      number(answer?.interval?.high), number(answer?.difficulty), number(answer?.execution),
      number(shown[0]?.start_s), number(shown.at(-1)?.end_s),
      answer ? say(answer.needs_review ? "list.review" : "list.fine") : "",
      (answer?.review_reasons ?? []).map(reason).join(" "),
      answer ? `${answer.checkpoint.name} ${answer.checkpoint.version}` : "", answer?.clip.sha256 ?? "",
      problem ? sentence(problem) : "",
    ];
  })];
  const cell = (value) => (/["\r\n,;]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return BYTE_ORDER_MARK + lines.map((cells) => cells.map(cell).join(separator)).join("\r\n") + "\r\n";
}

// The name of a file is anybody's: a spreadsheet would take these beginnings for a formula.
const text = (value) => (/^[=+\-@\t\r]/.test(value) ? `'${value}` : value);
