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
let clip = null; // a File
let lastStep = null;
let running = null; // an AbortController: what is on its way now; an answer to any other is late
let shownUrl = null;

// ---- the form

// What is shown belongs to the clip and the fields as they were: if either changes it is removed.
function forget() {
  running?.abort();
  running = null;
  setBusy(false);
  $("result").replaceChildren();
  if (shownUrl) URL.revokeObjectURL(shownUrl);
  shownUrl = null;
  $("step").textContent = "";
  clearProblem();
}

// From here on only this request counts: `running` has its controller until another one begins.
function begin() {
  forget();
  running = new AbortController();
  return running;
}

function choose(file) {
  forget();
  clip = file;
  $("chosen").textContent = file ? file.name || "A video" : "Choose a video";
  $("drop").classList.toggle("has-clip", Boolean(file));
}

$("clip").addEventListener("change", (event) => choose(event.target.files[0] ?? null));

form.addEventListener("input", (event) => {
  if (event.target === $("clip")) return;
  const hadResult = $("result").hasChildNodes();
  forget();
  if (hadResult) $("step").textContent = "The entries have changed: score again.";
});

for (const name of ["dragenter", "dragover"]) {
  $("drop").addEventListener(name, () => $("drop").classList.add("over"));
}
for (const name of ["dragleave", "drop"]) {
  $("drop").addEventListener(name, () => $("drop").classList.remove("over"));
}
for (const name of ["dragover", "drop"]) { // anywhere else a browser would leave the page for the file
  window.addEventListener(name, (event) => event.preventDefault());
}
$("drop").addEventListener("drop", (event) => {
  const { files } = event.dataTransfer;
  if (!files.length) return;
  $("clip").value = ""; // so that choosing the former file again is a change
  choose(files.length === 1 ? files[0] : null);
  if (files.length > 1) showProblem(wrongClip("One video at a time, please"));
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
    choose(null);
    const mine = begin();
    let file;
    try {
      const response = await fetch(new URL(`demo/${demo.file}`, import.meta.url));
      if (!response.ok) throw new TypeError(response.statusText);
      file = new File([await response.blob()], demo.file);
    } catch {
      if (running !== mine) return;
      forget();
      showProblem(wrongClip("The simulated clip cannot be loaded"));
      return;
    }
    if (running !== mine) return;
    $("clip").value = "";
    choose(file);
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
$("cancel").addEventListener("click", () => {
  forget();
  $("score").focus();
});

// A page that comes back from the browser's history: if it was kept in memory it is unchanged; if it
// was loaded again the browser may have restored its fields and its file.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted && !clip && !running) choose($("clip").files[0] ?? null);
});

async function score() {
  const mine = begin();
  if (!clip) {
    forget();
    showProblem(wrongClip("Choose a video first"));
    return;
  }
  const sent = clip;
  setBusy(true);
  step("upload", 0);
  const listeners = {
    signal: mine.signal,
    onUpload: (sent, total) => {
      if (running !== mine) return;
      if (sent < total) step("upload", sent / total);
      else step("queued");
    },
    onEvent: (name, data) => {
      if (running === mine) step(name, data.of ? data.done / data.of : undefined, data);
    },
  };
  try {
    const answer = await withKey(() => client.score(sent, fields(), listeners), mine);
    if (running !== mine) return;
    forget();
    showAnswer(answer, sent);
    $("step").textContent = `Scored: ${answer.score.toFixed(2)} points.`;
  } catch (error) {
    if (running !== mine) return;
    forget();
    showProblem(error);
  }
}

$("marks-only").addEventListener("click", async () => {
  const mine = begin();
  const { action, marks, difficulty, deductions } = fields();
  const asked = { action, marks, difficulty: difficulty || null };
  if (deductions) asked.deductions = deductions;
  try {
    const panel = await withKey(() => client.panel(asked), mine);
    if (running !== mine) return;
    forget();
    show([panelCard(panel)]);
  } catch (error) {
    if (running !== mine) return;
    forget();
    showProblem(error);
  }
});

// ---- the key, in memory only

async function withKey(call, mine = null) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error.status !== 401 || mine?.signal.aborted || !(await askForKey())) throw error;
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

// While a clip is being sent or scored its fields are locked; another clip may be chosen.
function setBusy(busy) {
  $("progress").hidden = !busy;
  $("cancel").hidden = !busy;
  for (const each of form.elements) {
    const goesOn = each.id === "clip" || each.id === "cancel" || each.dataset.demo;
    if (!goesOn) each.disabled = busy;
  }
  lastStep = null;
  form.setAttribute("aria-busy", String(busy));
}

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

const wrongClip = (title) => new Problem({ title, type: "", errors: [{ name: "clip" }] });

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
