// What machine-readable answers mean, in plain sentences.

const REASONS = {
  not_calibrated: "The model cannot say how sure it is: it was never calibrated.",
  unfamiliar_clip: "The clip does not look like those the model learned from.",
  wide_interval: "The model is less sure than usual.",
  mostly_blank: "Half of what is scored shows nothing: the clip is short, or dark.",
  trimmed: "The clip is longer than what is scored; its beginning was left out.",
  decode_errors: "The file is damaged or cut off.",
  times_assumed: "The file has no usable times: how fast it plays is a guess.",
  clock_jump: "The recording has a cut: what happened meanwhile is missing.",
  slow_motion: "The clip is in slow motion: what was scored is slower than it happened.",
  time_lapse: "The clip is a time lapse: what was scored is faster than it happened.",
  few_pictures: "The clip shows few different pictures: hardly anything moves.",
  size_changes: "The picture changes its size: it may be another view from there on.",
  colours_guessed: "The file does not say enough about its colours: they were guessed.",
  no_routine: "Nothing in the recording looks like a routine.",
  several_routines: "The recording shows more than one routine: another one may be meant.",
};

const WARNINGS = {
  trimmed: "Longer than what is scored: the last part was.",
  padded: "Shorter than what is scored: blank frames were added.",
  truncated: "Pictures are missing at the end of the file, or at its beginning.",
  decode_errors: "Some frames are damaged.",
  times_repaired: "Some times in the file were wrong; those few pictures were left out or moved.",
  times_assumed: "The file has no usable times: an even rate was assumed.",
  clock_jump: "The clock of the recording jumps; the gap was closed.",
  slow_motion: "The file says that it was recorded in slow motion.",
  time_lapse: "The file says that it was recorded as a time lapse.",
  few_pictures: "Fewer than a quarter of its pictures differ from each other.",
  low_frame_rate: "The clip has fewer pictures a second than are scored: some were shown twice.",
  size_changes: "The picture changes its size within the clip.",
  interlaced: "The video is interlaced: its fields were taken apart.",
  bars: "Black bars around the picture were cut off.",
  hdr: "Colours of high dynamic range or wide gamut were guessed.",
  no_routine: "Nothing looks like a routine; what looks most like one was scored.",
  several_routines: "More than one part looks like a routine; the most likely one was scored.",
  score_above_range: "The score is above the nominal range.",
  score_below_range: "The score is below the nominal range.",
};

export const reason = (code) => REASONS[code] ?? code;
export const warning = (code) => WARNINGS[code] ?? code;

export const points = (value, digits = 2) => value.toFixed(digits);
export function signed(value, digits = 1) {
  const size = Math.abs(value).toFixed(digits);
  return Number(size) === 0 ? size : (value < 0 ? "−" : "+") + size;
}

export function trust(answer) {
  if (!answer.interval) return "Nobody can say how far off this may be: the model was not calibrated.";
  const { low, high, coverage } = answer.interval;
  const share = `${Math.round(coverage * 10)} of 10`;
  const range = `${points(low, 1)} and ${points(high, 1)}`;
  return `${share} clips like this one are judged between ${range}.`;
}

const SCORED_BY = {
  video: "from the video alone",
  "video and difficulty": "from the video and the declared difficulty",
};

const CLIPS = { simulated: "simulated", real: "real", both: "real and simulated" };

// What the score is based on, and which checkpoint predicted it.
export function origin({ scored_by, checkpoint: { name, version, trained_on } }) {
  const caution = trained_on === "simulated"
    ? " It shows how this works and must not be used to judge people."
    : " How well it scores other events, venues and athletes than it has seen is unknown.";
  return `Scored ${SCORED_BY[scored_by]} by ${name} ${version}, trained on ${CLIPS[trained_on]} clips.${caution}`;
}

// How many digits after the point distinguish the contributions of an answer: a vault's are small.
export function digits(fragments) {
  return Math.max(...fragments.map((fragment) => Math.abs(fragment.contribution))) < 2 ? 2 : 1;
}

export function contribution(fragment, digits) {
  if (fragment.blank) return "shows nothing";
  const verb = fragment.contribution < 0 ? "cost" : "added";
  return `${verb} ${points(Math.abs(fragment.contribution), digits)} points`;
}

export function seconds(fragment) {
  if (fragment.start_s === null) return "no time";
  return `${points(fragment.start_s, 1)} to ${points(fragment.end_s, 1)} seconds`;
}

// "1 in 200", for a share of real marks.
export function rarity(share) {
  if (share === null) return "not known";
  if (share === 0) return "none seen";
  return share >= 0.1 ? `${Math.round(share * 100)} %` : `1 in ${Math.round(1 / share)}`;
}

export function panelVerdict(panel) {
  const sentences = [];
  if (panel.judges.every((judge) => judge.out_of_line === null)) {
    sentences.push("How far real panels of this kind differ is not known, so no mark is called out of line.");
  } else if (panel.out_of_line.length) {
    const who = panel.out_of_line.map((number) => `judge ${number}`).join(" and ");
    sentences.push(`Out of line: ${who}. Fewer than 1 in 100 real marks lie so far from their panel.`);
  } else {
    sentences.push("No mark is out of line: real panels differ as much.");
  }
  if (panel.model && panel.model.agrees !== null) {
    const range = `${points(panel.model.low, 1)} to ${points(panel.model.high, 1)}`;
    sentences.push(
      panel.model.agrees
        ? `The panel's mark lies inside what the model expects, ${range}.`
        : `The panel's mark lies outside what the model expects, ${range}: worth a second look.`,
    );
  }
  return sentences.join(" ");
}
