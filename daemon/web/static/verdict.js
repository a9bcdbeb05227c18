// The verdict on a photo, for people: in a sentence, and who was asked about each face.

import { said } from "./elements.js";

/** @typedef {import("./state.js").Photo} Photo */
/** @typedef {import("./state.js").Recogniser} Recogniser */

/**
 * Return the verdict for people; where there is none, what the server says.
 * @param {Photo} photo
 */
export function plainWords(photo) {
  if (photo.status === "no-face" && photo.cloaked?.given) return said("script", "no-face");
  const asked = photo.faces.flatMap((face) => face.recognisers);
  const names = new Set(asked.map((each) => each.name));
  const linking = new Set(asked.filter((each) => each.linked).map((each) => each.name));
  const judges = asked.filter((each) => each.role === "judge");
  if (linking.size > 0) return said("script", "still", { number: linking.size, all: names.size });
  if (photo.status !== "protected" || judges.length === 0) return photo.words;
  const nearest = Math.min(...judges.map((each) => each.inside ?? 0));
  return said("script", "clear", { number: new Set(judges.map((each) => each.name)).size, share: Math.round(100 * nearest) });
}

/**
 * @param {HTMLElement} element
 * @param {string[]} lines
 */
export function list(element, lines) {
  if (element.childElementCount === lines.length) return;
  element.replaceChildren(...lines.map((line) => made("li", line)));
}

/**
 * Fill in who was asked about each face, and how near each came to a link.
 * @param {HTMLElement} body
 * @param {Photo} photo
 */
export function table(body, photo) {
  const key = `${photo.cloaked?.sha256}`;
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(
    ...photo.faces.flatMap((face, number) =>
      face.recognisers.map((asked) => {
        const row = document.createElement("tr");
        row.append(made("td", said("script", "face", { number: number + 1 })), made("td", whoIs(asked)), answered(asked));
        return row;
      }),
    ),
  );
}

/** @param {Recogniser} asked */
function whoIs(asked) {
  return `${asked.name} (${said("script", asked.role)})`;
}

/** @param {Recogniser} asked */
function answered(asked) {
  const cell = document.createElement("td");
  const word = asked.linked ? ((asked.inside ?? 0) < 0 ? "linked" : "near") : "not-linked";
  const badge = made("span", said("script", word));
  badge.className = `badge ${asked.linked ? "bad" : "good"}`;
  cell.append(badge);
  if (asked.inside !== null) {
    const share = Math.abs(Math.round(100 * asked.inside));
    cell.append(` ${said("script", asked.inside < 0 ? "beyond" : "inside", { share })}`);
  }
  return cell;
}

/**
 * @param {string} kind
 * @param {string} text
 */
function made(kind, text) {
  const element = document.createElement(kind);
  element.textContent = text;
  return element;
}
