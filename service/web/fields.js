// The entries of the form: what they are called for each action, and what is sent of them.

import { h } from "./dom.js";
import { plain, points, written } from "./numbers.js";
import { learnedFrom } from "./origin.js";
import { actionName, say, sayFor } from "./words.js";

const HEIGHTS_M = [1, 3, 5, 7.5, 10];
const EXAMPLES = { diving: 3.3, vault: 5.8 };
const UNKNOWN = { action: null, seconds: Infinity, score_range: [0, 100], trained_on: null, can_find: false };
const $ = (id) => document.getElementById(id);

export class Fields {
  constructor() {
    this.checkpoints = []; // as GET /checkpoints has them, with `description` once it is known
    $("action").addEventListener("change", () => this.say());
  }

  // What there is to choose from, and whether clips can be kept.
  offer({ checkpoints, default: first, keeps_clips: keepsClips }) {
    this.checkpoints = checkpoints;
    $("keep-field").hidden = !keepsClips;
    const names = [...new Set(checkpoints.map((each) => each.name))];
    $("action").replaceChildren(...names.map((name) =>
      h("option", { value: name, selected: name === first })));
    this.say();
  }

  // The checkpoint that is chosen, in the version that its name means.
  get checkpoint() {
    const name = $("action").value;
    return this.checkpoints.find((each) => each.name === name && each.current) ?? UNKNOWN;
  }

  // How much of a video it scores, seconds, and whether the service can find that part.
  get part() {
    const { seconds, can_find: canFind } = this.checkpoint;
    return { most: seconds, canFind };
  }

  checkpointOf({ checkpoint: { name, version }, action }) {
    const known = this.checkpoints.find((each) => each.name === name && each.version === version);
    return known ?? { ...UNKNOWN, score_range: [0, action === "vault" ? 20 : 100] };
  }

  // All texts that depend on the action, in the language that is chosen now.
  say() {
    for (const option of $("action").options) option.textContent = actionName(option.value);
    const height = $("height").value;
    $("height").replaceChildren(h("option", { value: "" }, say("height.none")), ...HEIGHTS_M.map((metres) =>
      h("option", { value: metres, selected: String(metres) === height }, say("height.value", { metres: plain(metres) }))));
    const { checkpoint } = this;
    const { action } = checkpoint;
    if (action) {
      $("about").textContent = [
        say("about.seconds", { seconds: points(checkpoint.seconds, 1) }),
        learnedFrom(checkpoint, checkpoint.description),
      ].join(" ");
    }
    $("marks-hint").textContent = sayFor("marks.hint", action);
    $("deductions-field").hidden = action !== "vault";
    for (const each of document.querySelectorAll("#ask .diving")) each.hidden = action !== "diving";
    $("difficulty").placeholder = EXAMPLES[action] ? plain(EXAMPLES[action]) : "";
  }

  fill({ action, difficulty, marks }) {
    $("action").value = action;
    $("difficulty").value = difficulty;
    $("marks").value = marks;
    for (const name of ["deductions", "dive", "height"]) $(name).value = "";
    this.say();
  }

  // What both calls need, empty where nothing was entered.
  common() {
    const { action } = this.checkpoint;
    const marks = $("marks").value.trim();
    return {
      marks,
      difficulty: written($("difficulty").value),
      dive: action === "diving" ? $("dive").value.trim() : "",
      height: action === "diving" && $("dive").value.trim() ? $("height").value : "",
      deductions: action === "vault" && marks ? written($("deductions").value) : "",
    };
  }

  forScore() {
    const keep = !$("keep-field").hidden && $("keep").checked;
    return { action: $("action").value, include: "frames", ...this.common(), keep: keep ? "true" : "" };
  }

  // The action's name is a checkpoint's; a panel is counted by the rules of the sport.
  forPanel() {
    const given = Object.entries(this.common()).filter(([name, value]) => value || name === "marks");
    return { action: this.checkpoint.action ?? $("action").value, ...Object.fromEntries(given) };
  }
}
