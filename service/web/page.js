// The page: from a form to an answer on the screen.

import { Problem, ScoringClient } from "./client.js";
import { h } from "./dom.js";
import { Film } from "./film.js";
import { panelCard } from "./panel.js";
import { reportOf } from "./report.js";
import { resultCards } from "./result.js";

const DEMOS = {
  dive: { file: "dive.mp4", action: "diving", difficulty: "3.7", marks: "6, 6.5, 6.5, 5.5, 6.5, 7, 6.5" },
  vault: { file: "vault.mp4", action: "vault", difficulty: "5.8", marks: "8.2, 8.2, 8.1, 8.2, 8.3" },
};
const HINTS = {
  diving: "5 or 7 judges, or 11 for a synchronised dive: three, three, five. 0 to 10 in halves.",
  vault: "The E panel's, 4 to 7 judges: 0 to 10 in tenths.",
};
const NUMBERS = ["difficulty", "deductions", "start_s", "end_s"];
const STEPS = ["upload", "queued", "decoding", "scoring"];

const client = new ScoringClient(undefined, { retries: 0 }); // a person decides
const $ = (id) => document.getElementById(id);
const form = $("ask");
let checkpoints = [];
let clip = null; // a File or Blob
let running = null; // an AbortController while a clip is scored
let shownUrl = null;

// ---- the form

function choose(file) {
  clip = file;
  $("chosen").textContent = file ? file.name || "A video" : "Choose a video";
  $("drop").classList.toggle("has-clip", Boolean(file));
  clearProblem();
}

$("clip").addEventListener("change", (event) => choose(event.target.files[0] ?? null));

for (const name of ["dragenter", "dragover"]) {
  $("drop").addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  $("drop").addEventListener(name, () => $("drop").classList.remove("over"));
}
$("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) choose(event.dataTransfer.files[0]);
});

function actionChanged() {
  const action = $("action").value;
  $("marks-hint").textContent = HINTS[action] ?? "";
  $("deductions-field").hidden = action !== "vault";
  $("difficulty").placeholder = action === "vault" ? "5.8" : "3.3";
}
$("action").addEventListener("change", actionChanged);

for (const button of document.querySelectorAll("[data-demo]")) {
  button.addEventListener("click", async () => {
    const demo = DEMOS[button.dataset.demo];
    const response = await fetch(new URL(`demo/${demo.file}`, import.meta.url));
    choose(new File([await response.blob()], demo.file));
    $("action").value = demo.action;
    $("difficulty").value = demo.difficulty;
    $("marks").value = demo.marks;
    for (const name of ["deductions", "start_s", "end_s"]) $(name).value = "";
    actionChanged();
    await score();
  });
}

function fields() {
  const found = { action: $("action").value, include: "frames", marks: $("marks").value.trim() };
  for (const name of NUMBERS) found[name] = $(name).value.trim().replace(",", ".");
  if ($("deductions-field").hidden || !found.marks) found.deductions = "";
  return found;
}

// ---- scoring

form.addEventListener("submit", (event) => {
  event.preventDefault();
  score();
});
$("cancel").addEventListener("click", () => running?.abort());

async function score() {
  if (running) return;
  clearProblem();
  if (!clip) {
    showProblem(new Problem({ title: "Choose a video first", type: "", errors: [{ name: "clip" }] }));
    $("clip").focus();
    return;
  }
  const sent = clip; // another may be chosen meanwhile
  running = new AbortController();
  setBusy(true);
  step("upload", 0);
  const listeners = {
    signal: running.signal,
    onUpload: (sent, total) => (sent < total ? step("upload", sent / total) : step("queued")),
    onEvent: (name, data) => step(name, data.of ? data.done / data.of : undefined, data),
  };
  try {
    const answer = await withKey(() => client.score(sent, fields(), listeners));
    showAnswer(answer, sent);
    $("step").textContent = `Scored: ${answer.score.toFixed(2)} points.`;
  } catch (error) {
    $("step").textContent = "";
    if (error.name !== "AbortError") showProblem(error);
  } finally {
    running = null;
    setBusy(false);
  }
}

$("marks-only").addEventListener("click", async () => {
  clearProblem();
  const { action, marks, difficulty, deductions } = fields();
  const asked = { action, marks, difficulty: difficulty || null };
  if (deductions) asked.deductions = deductions;
  try {
    const panel = await withKey(() => client.panel(asked));
    show([panelCard(panel)]);
  } catch (error) {
    showProblem(error);
  }
});

// ---- the key, in memory only

async function withKey(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error.status !== 401 || !(await askForKey())) throw error;
    }
  }
}

function askForKey() {
  const dialog = $("key-dialog");
  $("key").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "use") client.key = $("key").value;
      $("key").value = "";
      resolve(dialog.returnValue === "use");
    }, { once: true });
  });
}

// ---- what is shown

function setBusy(busy) {
  $("progress").hidden = !busy;
  $("cancel").hidden = !busy;
  $("score").disabled = busy;
  form.setAttribute("aria-busy", String(busy));
}

let lastStep = null;

function step(name, share, data = {}) {
  const at = STEPS.indexOf(name);
  document.querySelectorAll("[data-step]").forEach((item, i) => {
    item.className = i < at ? "done" : i === at ? "now" : "";
  });
  const bar = $("bar");
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
  const text = {
    upload: "Sending the clip",
    queued: data.ahead ? `In the queue, ${data.ahead} fragments ahead` : "In the queue",
    decoding: "Decoding",
    scoring: "Scoring",
  }[name];
  $("count").textContent = name === "decoding" ? `${data.done} of ${data.of} frames` : "";
  if (name !== lastStep) $("step").textContent = text; // read aloud, so once a step
  lastStep = name;
}

function clearProblem() {
  $("problem").replaceChildren();
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

function showProblem(problem) {
  if (!(problem instanceof Problem)) throw problem;
  const wait = problem.retryAfterS ? ` Try again in ${problem.retryAfterS} seconds.` : "";
  $("problem").replaceChildren(h("div", { class: "problem" },
    h("strong", {}, problem.title),
    problem.detail ? h("p", {}, problem.detail + wait) : null,
    problem.requestId ? h("p", { class: "hint" }, `Request ${problem.requestId}`) : null));
  const wrong = problem.errors.map(({ name }) => $(name)).filter((field) => field !== null);
  for (const field of wrong) {
    field.setAttribute("aria-invalid", "true");
    const folded = field.closest("details");
    if (folded) folded.open = true;
  }
  wrong[0]?.focus();
}

function show(cards) {
  const result = $("result");
  result.replaceChildren(...cards);
  result.focus({ preventScroll: true });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  result.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}

function showAnswer(answer, file) {
  if (shownUrl) URL.revokeObjectURL(shownUrl);
  shownUrl = URL.createObjectURL(file);
  const { name, version } = answer.checkpoint;
  const checkpoint = checkpoints.find((each) => each.name === name && each.version === version)
    ?? { score_range: [0, answer.action === "vault" ? 20 : 100] };
  const json = JSON.stringify(answer, (key, value) => (key === "jpeg" ? undefined : value), 2);
  show(resultCards(answer, new Film(answer, shownUrl), checkpoint, {
    copy: () => copy(json),
    download: () => download(`second-opinion-${answer.clip.sha256.slice(0, 12)}.html`, reportOf(answer, json)),
  }));
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied.";
  } catch {
    return "This browser does not let the page copy; the report holds the same.";
  }
}

function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/html" }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
  return "The report is in your downloads.";
}

async function untilReady() {
  for (;;) {
    try {
      await client.ready();
      $("step").textContent = "";
      return;
    } catch (error) {
      if (error.type !== "/problems/not-ready") throw error;
      $("step").textContent = "The service is still loading its models…";
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function start() {
  try {
    await untilReady();
    const listed = await withKey(() => client.checkpoints());
    checkpoints = listed.checkpoints;
    const names = [...new Set(checkpoints.map((each) => each.name))];
    $("action").replaceChildren(...names.map((name) =>
      h("option", { value: name, selected: name === listed.default }, name)));
  } catch (error) {
    showProblem(error);
  }
  actionChanged();
}

start();
