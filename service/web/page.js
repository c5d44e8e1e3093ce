// The page: from a form to an answer on the screen.

import { ScoringClient } from "./client.js";
import { Comparison } from "./compare.js";
import { loadDemo } from "./demos.js";
import { Fields } from "./fields.js";
import { Film } from "./film.js";
import { keptCard } from "./kept.js";
import { withKey } from "./key.js";
import { startLanguage } from "./language.js";
import { ClipList, entryOf, MOST } from "./list.js";
import { aboutScore } from "./numbers.js";
import { panelCard } from "./panel.js";
import { Part } from "./part.js";
import { lengthOf } from "./player.js";
import { clearProblem, ownProblem, sayProblem, showProblem } from "./problems.js";
import { progressListeners, setBusy, showStep } from "./progress.js";
import { FRAME_S } from "./range.js";
import { reportOf } from "./report.js";
import { resultCards } from "./result.js";
import { copy, save } from "./save.js";
import { say, sayAll } from "./words.js";

const client = new ScoringClient(undefined, { retries: 0 });
const $ = (id) => document.getElementById(id);
const form = $("ask");
const RETRIES = 5;
const fields = new Fields();
let clip = null; // a File
let part = null; // of the clip
let list = null; // instead of a clip: a ClipList
let running = null; // an AbortController: what is on its way now; an answer to any other is late
let shown = null; // what draws the result again, in another language
let comparison = null; // of two clips of the list
let shownUrl = null;

// ---- the form

// What is shown belongs to the clip and the fields as they were: if either changes it is removed.
function forget() {
  running?.abort();
  running = null;
  setBusy(false);
  part?.setLocked(false);
  list?.stop();
  hide();
  $("step").textContent = "";
  clearProblem();
}

// From here on only this request counts: `running` has its controller until another one begins.
function begin() {
  forget();
  running = new AbortController();
  return running;
}

function choose(files) {
  list = null;
  forget();
  part?.forget();
  clip = files.length === 1 ? files[0] : null;
  part = clip ? new Part(clip, fields.part, changed) : null;
  $("part").replaceChildren(...(part ? [part.element] : []));
  if (files.length > 1 && files.length <= MOST) {
    list = new ClipList(files, { show: showRow, compare, onEntry: hide });
    hide();
  }
  form.classList.toggle("many", list !== null);
  $("drop").classList.toggle("has-clip", clip !== null || list !== null);
  sayChosen();
  if (files.length > MOST) showProblem(ownProblem("list.too_many", { count: files.length, most: MOST }));
}

function sayChosen() {
  const count = list?.rows.length;
  $("chosen").textContent = list ? say("clip.several", { count })
    : clip ? clip.name || say("clip.unnamed") : say("clip.choose");
  $("score").textContent = list ? say("go.score_all", { count }) : say("go.score");
}

function changed() {
  const hadResult = list ? list.rows.some((row) => row.answer) : $("result").hasChildNodes();
  forget();
  list?.reset();
  if (hadResult) $("step").textContent = say("step.changed");
}

$("clip").addEventListener("change", (event) => choose([...event.target.files]));

form.addEventListener("input", (event) => {
  if (event.target !== $("clip") && !event.target.dataset.noEntry) changed();
});

for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(name, () => $("drop").classList.toggle("over", /enter|over/.test(name)));
}
for (const name of ["dragover", "drop"]) { // anywhere else a browser would leave the page for the file
  window.addEventListener(name, (event) => event.preventDefault());
}
$("drop").addEventListener("drop", (event) => {
  const { files } = event.dataTransfer;
  if (!files.length) return;
  $("clip").value = ""; // so that choosing the former file again is a change
  choose([...files]);
});

$("action").addEventListener("change", () => part?.setAction(fields.part));

for (const button of document.querySelectorAll("[data-demo]")) {
  button.addEventListener("click", async () => {
    choose([]);
    const mine = begin();
    const demo = await loadDemo(button.dataset.demo);
    if (running !== mine) return;
    if (!demo) {
      forget();
      showProblem(ownProblem("demo.failed"));
      return;
    }
    await whenOffered().catch(() => {}); // score() says what is wrong
    if (running !== mine) return;
    $("clip").value = "";
    fields.fill(demo);
    choose([demo.file]);
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
  if (!event.persisted && !clip && !list && !running) choose([...$("clip").files]);
});

async function score() {
  client.retries = list ? RETRIES : 0; // of one clip a person decides, a list waits for its turn
  if (list) {
    await scoreAll();
    return;
  }
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
    await Promise.all([part.ready, whenOffered()]);
    if (!isCurrent()) return;
    const asked = { ...fields.forScore(), ...part.fields() };
    const listeners = { signal: mine.signal, ...progressListeners(isCurrent) };
    const answer = await withKey(client, () => client.score(sent, asked, listeners), mine.signal);
    if (!isCurrent()) return;
    forget();
    if (answer.found_s) part.showFound(answer.found_s);
    show(() => answerCards(answer, sent, scoreAgain));
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

// All clips of the list that have no answer yet, one after another.
async function scoreAll() {
  const mine = begin();
  setBusy(true);
  const isCurrent = () => running === mine;
  try {
    await whenOffered();
    if (!isCurrent()) return;
    await list.run((row, index) => scoreRow(row, index, mine, isCurrent), isCurrent);
    if (!isCurrent()) return;
    forget();
    $("step").textContent = say("list.done", { count: list.rows.filter((row) => row.answer).length });
  } catch (error) {
    if (!isCurrent()) return;
    forget();
    showProblem(error);
  }
}

async function scoreRow(row, index, mine, isCurrent) {
  const prefix = `${say("list.progress", { number: index + 1, count: list.rows.length })}: `;
  showStep("upload", 0, {}, prefix);
  const length = await lengthOf(row.file);
  const { most, canFind } = fields.part;
  const isLong = length === null || length - most > FRAME_S;
  const { action, include, keep } = fields.forScore();
  const asked = { action, include, keep, ...entryOf(row.entry, $("height").value) };
  if (row.range) [asked.start_s, asked.end_s] = row.range;
  else if (isLong && canFind) asked.find = "true";
  const listeners = { signal: mine.signal, ...progressListeners(isCurrent, prefix) };
  return withKey(client, () => client.score(row.file, asked, listeners), mine.signal);
}

function showRow(row) {
  show(() => answerCards(row.answer, row.file, (range) => {
    Object.assign(row, { range, answer: null });
    scoreAll();
  }));
}

function compare(...rows) {
  const made = new Comparison(rows, {
    close: hide,
    rank: (asked) => withKey(client, () => client.rank(asked.map(({ file }) => file), {
      action: $("action").value, difficulty: asked.map(({ answer }) => answer.difficulty),
    })),
  });
  show(() => {
    made.say();
    return [made.element];
  });
  comparison = made;
}

$("marks-only").addEventListener("click", async () => {
  const mine = begin();
  try {
    await whenOffered();
    if (running !== mine) return;
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
  hide();
  shown = cards;
  const drawn = cards();
  $("result").append(...drawn);
  $("result").focus({ preventScroll: true });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  drawn[0].scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}

// Nothing but the list, if there is one.
function hide() {
  if (shownUrl) URL.revokeObjectURL(shownUrl);
  comparison?.forget();
  shown = shownUrl = comparison = null;
  $("result").replaceChildren(...(list ? [list.element] : []));
}

function answerCards(answer, file, again) {
  if (shownUrl) URL.revokeObjectURL(shownUrl);
  shownUrl = URL.createObjectURL(file);
  const checkpoint = fields.checkpointOf(answer);
  const json = JSON.stringify(answer, (key, value) => (key === "jpeg" ? undefined : value), 2);
  const cards = resultCards(answer, new Film(answer, shownUrl), checkpoint, {
    scoreAgain: again,
    copy: async () => say(await copy(json) ? "record.copied" : "record.not_copied"),
    download: () => {
      const text = reportOf(answer, { json, fileName: file.name, checkpoint });
      save(`second-opinion-${answer.clip.sha256.slice(0, 12)}.html`, text, "text/html");
      return say("record.downloaded");
    },
  });
  if (answer.kept) cards.push(keptCard(answer, (call) => withKey(client, () => call(client))));
  return cards;
}

function sayEverything() {
  sayAll(document);
  fields.say();
  sayChosen();
  sayProblem();
  part?.say();
  list?.draw();
  if (shown) $("result").replaceChildren(...(list ? [list.element] : []), ...shown());
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

// What the cards say of the clips that the models have learned from, and of what stages are worth.
async function readCards() {
  const named = fields.checkpoints.filter((each) => each.current && each.trained_on !== "simulated");
  for (const each of named) {
    const { description, metrics } = await client.checkpoint(each.name);
    Object.assign(each, { description, worth: metrics.cross_validation?.stages });
  }
  fields.say();
}

async function offer() {
  await untilReady();
  fields.offer(await withKey(client, () => client.checkpoints()));
  part?.setAction(fields.part);
}

// Before the actions are known nobody can have chosen one: what is asked for earlier waits, and
// tries again where they could not be read.
function whenOffered() {
  offered = offered.catch(offer);
  return offered;
}

async function start() {
  try {
    await offered;
    await readCards();
  } catch (error) {
    showProblem(error);
  }
}

startLanguage(sayEverything);
let offered = offer();
start();
