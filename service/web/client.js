// The service's calls for browsers. No dependencies: copy this file into any page.
//
//   const client = new ScoringClient("https://scores.example.org", { key: "…" });
//   const answer = await client.score(file, { action: "diving", difficulty: 3.3 }, {
//     onUpload: (sent, total) => …,             // bytes
//     onEvent: (name, data) => …,               // queued, decoding {done, of}, scoring
//     signal: controller.signal,                // to stop it
//   });
//
// What the service refuses is thrown as a Problem, whose `type` never changes its meaning.

export class Problem extends Error {
  constructor(body) {
    super(body.detail ?? body.title);
    this.name = "Problem";
    this.type = body.type;
    this.title = body.title;
    this.status = body.status;
    this.detail = body.detail ?? null;
    this.requestId = body.request_id ?? null;
    this.errors = body.errors ?? []; // [{name, reason}]: the fields that are wrong
    this.retryAfterS = body.retry_after_s ?? null;
  }
}

const UNREACHABLE = { type: "about:unreachable", status: 0, title: "The service cannot be reached" };
const GARBLED = { type: "about:garbled", status: 0, title: "The answer cannot be read" };

export class ScoringClient {
  constructor(url = "", { key = null } = {}) {
    this.url = url;
    this.key = key; // sent as Authorization: Bearer
  }

  // Fields: action or checkpoint, difficulty, marks, deductions, start_s, end_s, include.
  score(clip, fields = {}, { onUpload, onEvent, signal } = {}) {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) {
      if (value !== null && value !== undefined && value !== "") form.append(name, value);
    }
    form.append("clip", clip, "clip");
    return this.#upload("/score", form, { onUpload, onEvent, signal });
  }

  panel(fields) {
    return this.#json("/panel", { method: "POST", body: JSON.stringify(fields) });
  }

  ready() {
    return this.#json("/readyz");
  }

  checkpoints() {
    return this.#json("/checkpoints");
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
    const body = await response.json().catch(() => GARBLED);
    if (!response.ok || body === GARBLED) throw new Problem(body);
    return body;
  }

  // XMLHttpRequest, because fetch does not tell how far an upload is.
  #upload(path, form, { onUpload, onEvent, signal }) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const events = new EventReader();
      let last = null;
      const read = () => {
        if (!(request.getResponseHeader("Content-Type") ?? "").startsWith("text/event-stream")) return;
        for (const { event, data } of events.read(request.responseText)) {
          if (event === "result" || event === "problem") last = { event, data };
          else onEvent?.(event, data);
        }
      };
      request.upload.onprogress = (event) => onUpload?.(event.loaded, event.total);
      request.onprogress = read;
      request.onerror = () => reject(new Problem(UNREACHABLE));
      request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
      request.onload = () => {
        read();
        if (last?.event === "result") resolve(last.data);
        else reject(new Problem(last?.data ?? parsed(request.responseText)));
      };
      signal?.addEventListener("abort", () => request.abort());
      request.open("POST", this.url + path);
      request.setRequestHeader("Accept", "text/event-stream");
      if (this.key) request.setRequestHeader("Authorization", `Bearer ${this.key}`);
      request.send(form);
    });
  }
}

// Server-sent events out of a text that grows.
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

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return GARBLED;
  }
}
