// A client of the service for browsers. No dependencies: import this file from the service, or copy it.
//
//   import { ScoringClient } from "https://scores.example.org/web/client.js";
//
//   const client = new ScoringClient("https://scores.example.org", { key: "…" });
//   const answer = await client.score(file, { action: "diving", difficulty: 3.3 }, {
//     onUpload: (sent, total) => …,             // bytes
//     onEvent: (name, data) => …,               // queued, decoding {done, of}, scoring
//     onWait: (seconds) => …,                   // the service is full: it is sent again after that
//     signal: controller.signal,                // to stop it
//   });
//   const { order, pairs, clips } = await client.rank([file, other], { action: "vault" });
//
// A page of another origin than the service's needs two things: the service's setting
// SCORING_ALLOWED_ORIGINS must name that origin ("https://judges.example", as location.origin has
// it), and the page's own Content-Security-Policy, if it has one, must allow the service in
// connect-src. Otherwise the browser refuses, and every call is an "about:unreachable" Problem. An
// https page cannot call a service by http, unless that is on the same computer (localhost).
//
// If the service refuses a request, a Problem is thrown, whose `type` never changes its meaning.
// Everybody who can read the page can read the key: put none into a page that is public.

export class Problem extends Error {
  constructor(body) {
    super(body.detail ?? body.title);
    this.name = "Problem";
    this.type = body.type ?? "about:blank";
    this.title = body.title;
    this.status = body.status;
    this.detail = body.detail ?? null;
    this.requestId = body.request_id ?? null;
    this.errors = body.errors ?? []; // [{name, reason}]: the fields that are wrong
    this.retryAfterS = body.retry_after_s ?? null;
  }

  // Whether the service was full, and may have room later.
  get isOverload() {
    return this.status === 429 || (this.status === 503 && this.retryAfterS !== null);
  }
}

const UNREACHABLE = { type: "about:unreachable", status: 0, title: "The service cannot be reached" };
const GARBLED = { type: "about:garbled", title: "The answer cannot be read" };
const STOPPED = () => new DOMException("cancelled", "AbortError");

export class ScoringClient {
  // The url may have a path. Without one the client asks the service that this file came from.
  // A request that is refused because the service is full is sent again, up to `retries` times.
  constructor(url = new URL("..", import.meta.url), { key = null, retries = 3 } = {}) {
    this.url = String(url).replace(/\/+$/, "");
    this.key = key; // sent as Authorization: Bearer
    this.retries = retries;
  }

  // Fields: action or checkpoint, difficulty (or dive and height), marks, deductions, start_s, end_s,
  // find, include, keep.
  score(clip, fields = {}, { onUpload, onEvent, onWait, signal } = {}) {
    const form = formOf(fields);
    form.append("clip", clip, "clip");
    return this.#again(
      () => this.#upload("/score", form, { onUpload, onEvent: onEvent ?? (() => {}), signal }),
      { onWait, signal },
    );
  }

  // 2 to 32 clips of one action. Fields: action or checkpoint, and difficulty, or dive and height:
  // lists with one for each clip, null where it is not known.
  rank(clips, { difficulty = [], dive = [], height = [], ...fields } = {},
    { onUpload, onWait, signal } = {}) {
    const form = formOf(fields);
    for (const [name, values] of Object.entries({ difficulty, dive, height })) {
      for (const each of values) form.append(name, each ?? "");
    }
    for (const clip of clips) form.append("clips", clip, "clip");
    return this.#again(() => this.#upload("/rank", form, { onUpload, signal }), { onWait, signal });
  }

  // Fields: marks (a list), difficulty (or dive and height), action, deductions.
  panel(fields) {
    return this.#json("/panel", { method: "POST", body: JSON.stringify(fields) });
  }

  // Up to 1000 dives of a meet, each with marks (a list, every judge always at the same place) and
  // difficulty (or dive and height); diver and deductions may be left out.
  panelMeet(dives, { action = "diving" } = {}) {
    const body = JSON.stringify({ action, dives });
    return this.#json("/panel/meet", { method: "POST", body });
  }

  // The clips that the service has kept, newest first, and what judges gave for each.
  clips() {
    return this.#json("/clips");
  }

  // Add what judges gave for a kept clip, which is the answer's clip.sha256. Fields: marks (a list),
  // difficulty (or dive and height), deductions, score, group (the athlete or meet, by any name).
  judged(sha256, fields) {
    const path = `/clips/${encodeURIComponent(sha256)}/judged`;
    return this.#json(path, { method: "POST", body: JSON.stringify(fields) });
  }

  // Remove a kept clip, with all that belongs to it.
  forget(sha256) {
    return this.#json(`/clips/${encodeURIComponent(sha256)}`, { method: "DELETE" });
  }

  ready() {
    return this.#json("/readyz");
  }

  checkpoints() {
    return this.#json("/checkpoints");
  }

  // The card of "diving", or of "diving@10".
  checkpoint(reference) {
    return this.#json(`/checkpoints/${encodeURIComponent(reference)}`);
  }

  async #again(call, { onWait, signal }) {
    for (let left = this.retries; ; left -= 1) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof Problem && error.isOverload) || left <= 0) throw error;
        const seconds = error.retryAfterS ?? 1;
        onWait?.(seconds);
        await pause(seconds, signal);
      }
    }
  }

  async #json(path, options = {}) {
    const headers = options.body ? { "Content-Type": "application/json" } : {};
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    let response;
    try {
      response = await fetch(this.url + path, { ...options, headers });
    } catch {
      throw new Problem(UNREACHABLE);
    }
    const body = parsed(await response.text().catch(() => ""));
    if (response.ok && body) return body;
    throw problemOf(body, response.status, response.headers.get("Retry-After"));
  }

  // XMLHttpRequest, because fetch does not report the progress of an upload.
  #upload(path, form, { onUpload, onEvent, signal }) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(STOPPED());
        return;
      }
      const request = new XMLHttpRequest();
      const events = new EventReader();
      let last = null;
      const isStream = () =>
        (request.getResponseHeader("Content-Type") ?? "").startsWith("text/event-stream");
      const read = () => {
        if (!isStream()) return;
        for (const { event, data } of events.read(request.responseText)) {
          if (event === "result" || event === "problem") last = { event, data };
          else onEvent(event, data);
        }
      };
      request.upload.onprogress = (event) => onUpload?.(event.loaded, event.total);
      request.onprogress = read;
      request.onerror = () => reject(new Problem(UNREACHABLE));
      request.onabort = () => reject(STOPPED());
      request.onload = () => {
        read();
        const body = isStream() ? last?.data : parsed(request.responseText);
        if (body && request.status === 200 && last?.event !== "problem") resolve(body);
        else reject(problemOf(body, request.status, request.getResponseHeader("Retry-After")));
      };
      signal?.addEventListener("abort", () => request.abort());
      request.open("POST", this.url + path);
      request.setRequestHeader("Accept", onEvent ? "text/event-stream" : "application/json");
      if (this.key) request.setRequestHeader("Authorization", `Bearer ${this.key}`);
      request.send(form);
    });
  }
}

// Server-sent events, from a text that grows while it arrives.
class EventReader {
  #position = 0;

  *read(text) {
    for (let end; (end = text.indexOf("\n\n", this.#position)) >= 0; this.#position = end + 2) {
      const fields = { event: "message", data: "" };
      for (const line of text.slice(this.#position, end).split("\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
      }
      if (fields.data) yield { event: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value === null || value === undefined || value === "") continue;
    form.append(name, Array.isArray(value) ? value.join(" ") : value);
  }
  return form;
}

// An object, or null for what is not the service's: a proxy's page, half an answer.
function parsed(text) {
  try {
    const found = JSON.parse(text);
    return typeof found === "object" ? found : null;
  } catch {
    return null;
  }
}

function problemOf(body, status, retryAfter) {
  const seconds = /^[0-9]+$/.test(retryAfter ?? "") ? Number(retryAfter) : null;
  return new Problem({ retry_after_s: seconds, ...(body ?? { ...GARBLED, status }) });
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(STOPPED());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, 1000 * seconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop);
  });
}
