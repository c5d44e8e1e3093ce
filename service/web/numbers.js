// Numbers as people read them, in the chosen language.

import { language, say } from "./words.js";

export const points = (value, digits = 2) => new Intl.NumberFormat(language(), {
  minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false,
}).format(value);

// As it is, "3.3": a declared difficulty.
export const plain = (value) => new Intl.NumberFormat(language(), {
  maximumFractionDigits: 3, useGrouping: false,
}).format(value);

export function signed(value, digits = 1) {
  const size = points(Math.abs(value), digits);
  return Number(Math.abs(value).toFixed(digits)) === 0 ? size : (value < 0 ? "−" : "+") + size;
}

// A number that a person wrote: with a decimal point or a decimal comma. "" if nothing was written.
export const written = (text) => text.trim().replace(",", ".");

// How many digits after the point a score has that may be off by half its interval.
export function scoreDigits({ interval, score }) {
  const off = interval ? (interval.high - interval.low) / 2 : Math.abs(score) / 10;
  if (off >= 2) return 0;
  return off >= 0.2 ? 1 : 2;
}

// "66", and "52" and "79" where the interval is known.
export function aboutScore(answer) {
  const digits = scoreDigits(answer);
  const of = (value) => points(value, digits);
  const { interval } = answer;
  return {
    score: of(answer.score),
    low: interval ? of(interval.low) : null,
    high: interval ? of(interval.high) : null,
  };
}

// What the score means for one judge, where the difficulty is known: in diving three marks that
// count add up to the execution, in vault a mark is the execution. Marks lie between 0 and 10.
export function markNumbers({ action, score, difficulty, interval }) {
  if (difficulty === null || !["diving", "vault"].includes(action)) return null;
  const mark = (value) => (action === "diving" ? value / difficulty / 3 : value - difficulty);
  const of = (value) => points(Math.min(10, Math.max(0, mark(value))), 1);
  return {
    mark: points(mark(score), 1),
    low: interval ? of(interval.low) : null,
    high: interval ? of(interval.high) : null,
  };
}

export function aboutMark(answer) {
  const numbers = markNumbers(answer);
  if (!numbers) return null;
  const [alone, withRange] = answer.action === "diving"
    ? ["score.judge", "score.judge_range"] : ["score.execution", "score.execution_range"];
  return say(numbers.low === null ? alone : withRange, numbers);
}

// How many digits after the point distinguish the contributions of an answer: a vault's are small.
export function contributionDigits(fragments) {
  return Math.max(...fragments.map((fragment) => Math.abs(fragment.contribution))) < 2 ? 2 : 1;
}

export function contribution(fragment, digits) {
  if (fragment.blank) return say("film.blank");
  const key = fragment.contribution < 0 ? "film.cost" : "film.added";
  return say(key, { points: points(Math.abs(fragment.contribution), digits) });
}

export function seconds(fragment) {
  if (fragment.start_s === null) return say("film.blank");
  return say("film.seconds", { start: points(fragment.start_s, 1), end: points(fragment.end_s, 1) });
}

// "1 in 200", for a share of real marks.
export function rarity(share) {
  if (share === null) return say("panel.rare_unknown");
  if (share === 0) return say("panel.rare_never");
  return share >= 0.1 ? `${Math.round(share * 100)} %` : say("panel.rare", { count: Math.round(1 / share) });
}
