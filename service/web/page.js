// The page: from a form to an answer on the screen.

import { ScoringClient } from "./client.js";
import { h } from "./dom.js";
import { Fields } from "./fields.js";
import { Film } from "./film.js";
import { withKey } from "./key.js";
import { aboutScore } from "./numbers.js";
import { panelCard } from "./panel.js";
import { Part } from "./part.js";
import { clearProblem, ownProblem, sayProblem, showProblem } from "./problems.js";
import { progressListeners, setBusy, showStep } from "./progress.js";
import { reportOf } from "./report.js";
import { resultCards } from "./result.js";
import { save } from "./save.js";
import { chooseLanguage, language, LANGUAGES, say, sayAll } from "./words.js";

const DEMOS = {
  dive: { file: "dive.mp4", action: "diving", difficulty: "3.7", marks: "6 6.5 6.5 5.5 6.5 7 6.5" },
  vault: { file: "vault.mp4", action: "vault", difficulty: "5.8", marks: "8.2 8.2 8.1 8.2 8.3" },
};

const client = new ScoringClient(undefined, { retries: 0 }); // a person decides
const $ = (id) => document.getElementById(id);
const form = $("ask");
const fields = new Fields();
let clip = null; // a File
let part = null; // of the clip
let running = null; // an AbortController: what is on its way now; an answer to any other is late
let shown = null; // what draws the result again, in another language
let shownUrl = null;

// ---- the form

// What is shown belongs to the clip and the fields as they were: if either changes it is removed.
function forget() {
  running?.abort();
  running = null;
  setBusy(false);
  part?.setLocked(false);
  $("result").replaceChildren();
  if (shownUrl) URL.revokeObjectURL(shownUrl);
  shown = shownUrl = null;
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
  part?.forget();
  part = file ? new Part(file, fields.checkpoint.seconds, changed) : null;
  $("part").replaceChildren(...(part ? [part.element] : []));
  $("drop").classList.toggle("has-clip", Boolean(file));
  sayChosen();
}

function sayChosen() {
  $("chosen").textContent = clip ? clip.name || say("clip.unnamed") : say("clip.choose");
  $("score").textContent = say("go.score");
}

function changed() {
  const hadResult = $("result").hasChildNodes();
  forget();
  if (hadResult) $("step").textContent = say("step.changed");
}

$("clip").addEventListener("change", (event) => choose(event.target.files[0] ?? null));

form.addEventListener("input", (event) => {
  if (event.target !== $("clip") && !event.target.dataset.noEntry) changed();
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
  choose(files[0]);
});

$("action").addEventListener("change", () => part?.setMost(fields.checkpoint.seconds));

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
      showProblem(ownProblem("demo.failed"));
      return;
    }
    if (running !== mine) return;
    $("clip").value = "";
    fields.fill(demo);
    choose(file);
    await score();
  });
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
    showProblem(ownProblem("problem.no_clip"));
    return;
  }
  const sent = clip;
  setBusy(true);
  part.setLocked(true);
  showStep("upload", 0);
  const isCurrent = () => running === mine;
  try {
    await part.ready;
    if (!isCurrent()) return;
    const asked = { ...fields.forScore(), ...part.fields() };
    const listeners = { signal: mine.signal, ...progressListeners(isCurrent) };
    const answer = await withKey(client, () => client.score(sent, asked, listeners), mine.signal);
    if (!isCurrent()) return;
    forget();
    if (answer.found_s) part.showScored(answer.found_s);
    show(() => answerCards(answer, sent));
    $("step").textContent = say("step.scored", aboutScore(answer));
  } catch (error) {
    if (!isCurrent()) return;
    forget();
    showProblem(error);
  }
}

function scoreAgain(range) {
  part.choose(range);
  score();
}

$("marks-only").addEventListener("click", async () => {
  const mine = begin();
  try {
    const panel = await withKey(client, () => client.panel(fields.forPanel()), mine.signal);
    if (running !== mine) return;
    forget();
    show(() => [panelCard(panel)]);
  } catch (error) {
    if (running !== mine) return;
    forget();
    showProblem(error);
  }
});

// ---- what is shown

function show(cards) {
  shown = cards;
  const result = $("result");
  result.replaceChildren(...cards());
  result.focus({ preventScroll: true });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  result.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}

function answerCards(answer, file) {
  if (shownUrl) URL.revokeObjectURL(shownUrl);
  shownUrl = URL.createObjectURL(file);
  const checkpoint = fields.checkpointOf(answer);
  const json = JSON.stringify(answer, (key, value) => (key === "jpeg" ? undefined : value), 2);
  return resultCards(answer, new Film(answer, shownUrl), checkpoint, {
    scoreAgain,
    copy: () => copy(json),
    download: () => {
      const text = reportOf(answer, { json, fileName: file.name, description: checkpoint.description });
      save(`second-opinion-${answer.clip.sha256.slice(0, 12)}.html`, text, "text/html");
      return say("record.downloaded");
    },
  });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return say("record.copied");
  } catch {
    return say("record.not_copied");
  }
}

// ---- the language: of the address (?lang=de), else of the browser; kept in the address alone

function sayEverything() {
  document.documentElement.lang = language();
  document.title = say("page.title");
  sayAll(document);
  fields.say();
  sayChosen();
  sayProblem();
  part?.say();
  if (shown) $("result").replaceChildren(...shown());
}

function startLanguage() {
  const asked = new URLSearchParams(location.search).get("lang");
  chooseLanguage([...(asked ? [asked] : []), ...navigator.languages]);
  $("language").replaceChildren(...LANGUAGES.map(([code, name]) =>
    h("option", { value: code, lang: code, selected: code === language() }, name)));
  $("language").addEventListener("change", (event) => {
    chooseLanguage([event.target.value]);
    const address = new URL(location.href);
    address.searchParams.set("lang", language());
    history.replaceState(null, "", address);
    sayEverything();
  });
  sayEverything();
}

// ---- the start

async function untilReady() {
  for (;;) {
    try {
      await client.ready();
      $("step").textContent = "";
      return;
    } catch (error) {
      if (error.type !== "/problems/not-ready") throw error;
      $("step").textContent = say("step.loading");
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

// What the cards say of the clips that the models have learned from.
async function learnDescriptions() {
  const named = fields.checkpoints.filter((each) => each.current && each.trained_on !== "simulated");
  for (const each of named) {
    each.description = (await client.checkpoint(each.name)).description;
  }
  fields.say();
}

async function start() {
  startLanguage();
  try {
    await untilReady();
    fields.offer(await withKey(client, () => client.checkpoints()));
    part?.setMost(fields.checkpoint.seconds);
    await learnDescriptions();
  } catch (error) {
    showProblem(error);
  }
}

start();
