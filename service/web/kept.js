// A clip that is kept in the service's archive: add what the judges gave, or remove it.

import { h } from "./dom.js";
import { written } from "./numbers.js";
import { sentence } from "./problems.js";
import { say } from "./words.js";

// `ask(call)` calls the client, with the key if one is needed.
export function keptCard(answer, ask) {
  const { sha256 } = answer.clip;
  const said = h("p", { role: "status", class: "hint" });
  const input = (name) => h("input", { type: "text", id: `judged-${name}`, name, autocomplete: "off" });
  const field = (name, key) => h("div", { class: name === "marks" ? "wide" : null },
    h("label", { for: `judged-${name}` }, say(key)), input(name));
  const form = h("form", { class: "card kept", "aria-labelledby": "kept-title", novalidate: true },
    h("h3", { id: "kept-title" }, say("judged.title")),
    h("p", { class: "hint" }, say("kept.yes")),
    h("div", { class: "fields" }, field("marks", "marks.label"), field("difficulty", "difficulty.label"),
      answer.action === "vault" ? field("deductions", "deductions.label") : null, field("score", "judged.score")),
    h("div", { class: "go" },
      h("button", { class: "primary" }, say("judged.save")),
      h("button", {
        type: "button",
        onclick: () => done(() => ask((client) => client.forget(sha256)), () => {
          answer.kept = false; // drawn again in another language, there is no such card
          form.replaceChildren(said);
          said.textContent = say("judged.forgotten");
        }),
      }, say("judged.forget"))),
    said);
  async function done(call, then) {
    try {
      await call();
      then();
    } catch (problem) {
      if (problem.type === undefined) throw problem;
      said.textContent = `${sentence(problem)} ${problem.detail ?? ""}`;
    }
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const entries = [...new FormData(form)].map(([name, value]) => [name, name === "marks" ? value.trim() : written(value)]);
    const given = Object.fromEntries(entries.filter(([, value]) => value));
    done(() => ask((client) => client.judged(sha256, given)), () => { said.textContent = say("judged.saved"); });
  });
  return form;
}
