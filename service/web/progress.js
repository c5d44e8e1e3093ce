// How far a request has come, and which entries are locked meanwhile.

import { say } from "./words.js";

const STEPS = ["upload", "queued", "decoding", "scoring"];
const $ = (id) => document.getElementById(id);
let last = null;

// While a clip is being sent or scored its fields are locked; another clip may be chosen.
export function setBusy(busy) {
  $("progress").hidden = !busy;
  $("cancel").hidden = !busy;
  for (const each of $("ask").elements) {
    const goesOn = each.id === "clip" || each.id === "cancel" || each.dataset.demo || each.closest(".player");
    if (!goesOn) each.disabled = busy;
  }
  last = null;
  $("ask").setAttribute("aria-busy", String(busy));
}

export function showStep(name, share, data = {}, prefix = "") {
  const at = STEPS.indexOf(name);
  document.querySelectorAll("[data-step]").forEach((item, i) => {
    item.className = i < at ? "done" : i === at ? "now" : "";
  });
  const bar = $("bar");
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
  const key = name === "queued" && data.ahead ? "ahead" : name;
  $("count").textContent = name === "decoding" ? say("step.frames", data) : "";
  const text = prefix + say(`step.${key}`);
  if (text !== last) $("step").textContent = text; // read aloud, so once a step
  last = text;
}

// Listeners for the client, which show what they are called with while `isCurrent`.
export function progressListeners(isCurrent, prefix = "") {
  return {
    onUpload: (sent, total) => {
      if (!isCurrent()) return;
      if (sent < total) showStep("upload", sent / total, {}, prefix);
      else showStep("queued", undefined, {}, prefix);
    },
    onEvent: (name, data) => {
      if (isCurrent()) showStep(name, data.of ? data.done / data.of : undefined, data, prefix);
    },
  };
}
