// What the page says, by a key, in the language that was chosen. A language is one file in words/
// and one line here.

import * as de from "./words/de.js";
import * as en from "./words/en.js";

const TABLES = { en, de };
export const LANGUAGES = Object.entries(TABLES).map(([code, table]) => [code, table.LANGUAGE]);

let chosen = "en";

export const language = () => chosen;

// The first of these codes that there is a table for; "de-AT" means "de". English if there is none.
export function chooseLanguage(codes) {
  const known = codes.map((code) => code.toLowerCase().split("-")[0]).find((code) => TABLES[code]);
  chosen = known ?? "en";
}

export function say(key, values = {}) {
  const text = TABLES[chosen].TEXTS[key];
  if (text === undefined) throw new Error(`no words for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// The text of the key, or of the same key for anything else: say("score_of.diving").
export function sayFor(group, name, values) {
  const key = `${group}.${name}`;
  return say(key in TABLES[chosen].TEXTS ? key : `${group}.other`, values);
}

export const has = (key) => key in TABLES[chosen].TEXTS;
// Codes and names that are newer than this page, or a club's own, are shown as they are.
export const stageName = (name) => TABLES[chosen].STAGES[name] ?? name ?? "";
export const reason = (code) => TABLES[chosen].REASONS[code] ?? code;
export const warning = (code) => TABLES[chosen].WARNINGS[code] ?? code;
export const problem = (type) => TABLES[chosen].PROBLEMS[type.split(/[/:]/).at(-1)] ?? null;
export const actionName = (name) => (has(`action.${name}`) ? say(`action.${name}`) : name);

// "107B from 3 m: forward 3½ somersaults, pike", of an answer's `dive`.
export function diveName({ number, height_m: metres, name }) {
  const words = TABLES[chosen].DIVES;
  const height = new Intl.NumberFormat(chosen).format(metres);
  return say("score.dive", { number, height, name: name.replace(/[a-z]+/g, (word) => words[word] ?? word) });
}

// Fill in all texts of an element: what `data-say` names becomes a text, `data-label` a label for
// screen readers, on buttons for the mouse too.
export function sayAll(root) {
  for (const element of root.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of root.querySelectorAll("[data-label]")) {
    const text = say(element.dataset.label);
    element.setAttribute("aria-label", text);
    if (element.localName === "button") element.title = text;
  }
  return root;
}
