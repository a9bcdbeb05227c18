// How many photos wait for a person, beside the link to them: seen, and said once it changes.

import { announce, find, said, write } from "./elements.js";

/** @param {number} number */
export function showWaiting(number) {
  const place = find(document, "#waiting", HTMLElement);
  if (place.dataset.number === String(number)) return;
  place.dataset.number = String(number);
  write(place, number > 0 ? ` (${number})` : "");
  announce(said("script", "waiting", { number }));
}
