// The part of a video that is scored: arithmetic of its two ends, in seconds of the file.

export const FRAME_S = 1 / 30; // of what is scored, whatever the file's own rate
const LEAST_S = 16 * FRAME_S; // one fragment

const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));

export class Range {
  // `total` seconds of video, of which at most `most` are scored. At first it is the last ones, as
  // the service does it.
  constructor(total, most) {
    this.total = total;
    this.most = Math.min(most, total);
    this.least = Math.min(LEAST_S, total);
    this.start = total - this.most;
    this.end = total;
    this.together = this.isLong; // whether a handle takes the other with it
  }

  // Whether there is more video than is scored, by more than one frame.
  get isLong() {
    return this.total - this.most > FRAME_S;
  }

  get isWhole() {
    return this.start <= 0 && this.end >= this.total;
  }

  get length() {
    return this.end - this.start;
  }

  set(start, end) {
    this.start = clamp(start, 0, this.total);
    this.end = clamp(end, this.start, this.total);
  }

  // To a time, which becomes that of the next frame. `which`: "start", "end" or "both".
  move(which, to) {
    const { total, least, most, length } = this;
    const frame = Math.round(to / FRAME_S) * FRAME_S;
    const time = total - frame < FRAME_S / 2 ? total : frame;
    if (which === "both" || this.together) {
      const start = clamp(which === "end" ? time - length : time, 0, total - length);
      this.set(start, start + length);
    } else if (which === "start") {
      const start = clamp(time, 0, total - least);
      this.set(start, clamp(this.end, start + least, start + most));
    } else {
      const end = clamp(time, least, total);
      this.set(clamp(this.start, end - most, end - least), end);
    }
  }

  // What is sent: nothing for an end of the file. Cut off, not rounded, since a frame belongs to
  // the part if it begins at start_s or later, and before end_s.
  fields() {
    const sent = (seconds) => (Math.floor(seconds * 1000 + 1e-6) / 1000).toFixed(3);
    return {
      start_s: this.start > 0 ? sent(this.start) : "",
      end_s: this.end < this.total ? sent(this.end) : "",
    };
  }
}
