// Where a score comes from: the model, and what it has learned from.

import { has, say, sayFor } from "./words.js";

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
