// What went wrong, in plain words and beside the entry that it is about.

import { Problem } from "./client.js";
import { h } from "./dom.js";
import { problem as wordsFor, say } from "./words.js";

const $ = (id) => document.getElementById(id);
let shown = null;

// A problem of the page's own, about one entry.
export const ownProblem = (key, values = {}, field = "clip") =>
  Object.assign(new Problem({ title: key, type: "", errors: [{ name: field }] }), { key, values });

// One sentence in the chosen language, or the service's own words where there is none.
export const sentence = (problem) =>
  (problem.key ? say(problem.key, problem.values) : wordsFor(problem.type) ?? problem.title);

export function clearProblem() {
  shown = null;
  $("problem").replaceChildren();
  for (const input of $("ask").querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

export function showProblem(problem) {
  if (!(problem instanceof Problem)) throw problem;
  shown = problem;
  sayProblem();
  const wrong = problem.errors.map(({ name }) => $(name)).filter((field) => field !== null && field.form === $("ask"));
  for (const field of wrong) {
    field.setAttribute("aria-invalid", "true");
    const folded = field.closest("details");
    if (folded) folded.open = true;
  }
  wrong[0]?.focus();
}

// Again, in the language that is chosen now.
export function sayProblem() {
  if (!shown) return;
  const wait = shown.retryAfterS ? ` ${say("problem.wait", { seconds: shown.retryAfterS })}` : "";
  $("problem").replaceChildren(h("div", { class: "problem" },
    h("strong", {}, sentence(shown) + wait),
    entries(shown),
    shown.detail ? h("p", {}, `${say("problem.service")} `, h("span", { lang: "en" }, shown.detail)) : null,
    shown.requestId ? h("p", { class: "hint" }, say("problem.request", { id: shown.requestId })) : null));
}

// The labels of the entries that the service refuses.
function entries(problem) {
  if (problem.key) return null;
  const labels = problem.errors.flatMap(({ name }) => [...($(name)?.labels ?? [])]);
  const names = labels.map((label) => (label.querySelector("[data-say]") ?? label).textContent.trim());
  return names.length ? h("p", {}, names.join(", ")) : null;
}
