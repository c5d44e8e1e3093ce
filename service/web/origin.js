// Where a score comes from: the model, and what it has learned from.

import { has, say, sayFor, stageName } from "./words.js";

// Which of the public sets of judged clips the card of a checkpoint names. Only of these it is
// known in plain words what they show.
function eventOf(description) {
  const name = ["UNLV-Dive"].find((each) => description?.includes(`training split of ${each}`));
  return name && has(`event.${name}`) ? say(`event.${name}`) : null;
}

// What a checkpoint has learned from, in one sentence. `description` is its card's, if it is known.
export function learnedFrom({ action, trained_on: trainedOn }, description = null) {
  const event = trainedOn === "simulated" ? null : eventOf(description);
  const key = `about.${trainedOn}${event ? "_event" : ""}`;
  return say(key, { clips: sayFor("clips", action), event });
}

// What the score of an answer is based on, and how far it can be trusted.
export function origin(answer, description) {
  const { name, version, trained_on: trainedOn } = answer.checkpoint;
  const key = answer.scored_by === "video" ? "score.from_video" : "score.from_both";
  return [
    say(key, { model: `${name} ${version}` }),
    learnedFrom({ action: answer.action, trained_on: trainedOn }, description),
    trainedOn === "simulated" ? "" : say("score.unknown_places"),
  ].join(" ").trim();
}

// What can be claimed of the points of parts, of a model that has seen real routines; else null.
// `worth` is what its card says of the stages, if that was measured.
export function claim({ checkpoint }, worth) {
  if (checkpoint.trained_on === "simulated") return null;
  const sure = Object.keys(worth ?? {}).filter((stage) => worth[stage].low > 0).map(stageName);
  return [say("film.claim"), sure.length ? say("film.claim_sure", { stages: sure.join(", ") }) : ""].join(" ").trim();
}
