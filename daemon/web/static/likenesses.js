// Whom recognisers take the faces of a photo for, before and after: asked for when somebody wants to know.

import { said } from "./elements.js";
import { ask } from "./live.js";

/** @typedef {import("./state.js").Photo} Photo */

/**
 * @typedef {object} Candidate
 * @property {string} name
 * @property {"person" | "stranger"} kind
 * @property {number} score
 * @property {number | null} confidence the chance that it is this person, 0 to 1
 */

/**
 * @typedef {object} Named
 * @property {Candidate[]} candidates the likeliest first
 * @property {number | null} others the chance of all further names together
 * @property {number | null} nobody the chance that it is none of them
 */

/**
 * @typedef {object} Answer
 * @property {string} name
 * @property {number} names how many there are to choose from
 * @property {Named} original
 * @property {Named | null} copy
 */

/** @typedef {{people: number, faces: {number: number, recognisers: Answer[]}[]}} Likenesses */

/**
 * Fill in the answers when they are opened; they are asked for once for each copy.
 * @param {HTMLDetailsElement} details
 * @param {Photo | null} photo
 */
export function likenesses(details, photo) {
  details.hidden = !photo?.likenesses;
  const key = photo?.cloaked?.sha256 ?? "";
  if (!photo || details.hidden || details.dataset.key === key) return;
  details.dataset.key = key;
  const body = /** @type {HTMLElement} */ (details.querySelector(".answers"));
  body.replaceChildren();
  const fill = async () => {
    if (!details.open || body.childElementCount > 0) return;
    body.replaceChildren(made("p", "soft", said("script", "asking")));
    try {
      const answer = await ask(`/photos/${photo.id}/likenesses.json`);
      body.replaceChildren(...shown(await answer.json()));
    } catch {
      body.replaceChildren(); // it is asked again when it is opened again
    }
  };
  details.ontoggle = fill;
  fill();
}

/**
 * @param {Likenesses} found
 * @returns {Element[]}
 */
function shown(found) {
  const several = found.faces.length > 1;
  const parts = found.faces.flatMap((face) => {
    const answers = face.recognisers.map((answer) => compared(answer, several ? "h4" : "h3"));
    return several ? [made("h3", "", said("script", "face", { number: face.number })), ...answers] : answers;
  });
  return [made("p", "soft", said("script", found.people ? "likeness" : "nobody-enrolled")), ...parts];
}

/**
 * @param {Answer} answer
 * @param {string} heading
 */
function compared(answer, heading) {
  const part = made("section", "compared", "");
  part.append(made(heading, "", said("script", "of-names", { name: answer.name, names: answer.names })));
  part.append(bars(said("script", "before-heading"), answer.original));
  if (answer.copy) part.append(bars(said("script", "after-heading"), answer.copy));
  return part;
}

/**
 * @param {string} heading
 * @param {Named} named
 */
function bars(heading, named) {
  const table = made("table", "chances", "");
  table.append(made("caption", "soft", heading));
  for (const each of named.candidates) table.append(bar(each.name, each.confidence, each.kind, each.score));
  if (named.others !== null) table.append(bar(said("script", "others"), named.others, "stranger"));
  if (named.nobody !== null) table.append(bar(said("script", "none-of-these"), named.nobody, "nobody"));
  return table;
}

/**
 * @param {string} name
 * @param {number | null} chance
 * @param {string} kind
 * @param {number} [score] shown where there is no chance
 */
function bar(name, chance, kind, score = 0) {
  const row = made("tr", kind, "");
  const head = made("th", "", name);
  head.setAttribute("scope", "row");
  const length = made("span", "length", "");
  length.style.width = `${100 * (chance ?? 0)}%`;
  const cell = made("td", "", "");
  cell.append(length);
  row.append(head, cell, made("td", "number", chance === null ? score.toFixed(2) : percent(chance)));
  return row;
}

/** @param {number} chance */
function percent(chance) {
  if (chance < 0.001) return "< 0.1 %";
  return chance > 0.999 ? "> 99.9 %" : `${(100 * chance).toFixed(1)} %`;
}

/**
 * @param {string} kind
 * @param {string} style
 * @param {string} text
 */
function made(kind, style, text) {
  const element = document.createElement(kind);
  if (style) element.className = style;
  element.textContent = text;
  return element;
}
