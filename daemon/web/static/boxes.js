// The faces of a photo, as boxes over its picture; in the colour of what became of each.

import { ask } from "./live.js";

const SVG = "http://www.w3.org/2000/svg";
const WRONG = new Set(["linked", "left-uncertain"]);

/** @typedef {import("./state.js").Photo} Photo */
/** @typedef {{box: [number, number, number, number], state: string, number?: number}} Boxed */

/**
 * Return the faces of a photo; before there is a verdict, those that were found.
 * @param {Photo} photo
 * @returns {Boxed[]}
 */
export function facesOf(photo) {
  return photo.faces.length ? photo.faces : photo.boxes.map((box) => ({ box, state: "found" }));
}

/**
 * Return those that a person should look at.
 * @param {Boxed[]} faces
 */
export function wrong(faces) {
  return faces.filter((face) => WRONG.has(face.state));
}

/**
 * Draw the boxes of faces over the picture of a photo of that size.
 * @param {SVGSVGElement} svg
 * @param {Boxed[]} faces
 * @param {[number, number] | null} size width and height, in the pixels of the boxes
 * @param {boolean} numbered whether the number of each is written beside its box
 */
export function draw(svg, faces, size, numbered = false) {
  if (size === null) return;
  const key = JSON.stringify([size, faces.map((face) => [face.box, face.state])]);
  if (svg.dataset.key === key) return;
  svg.dataset.key = key;
  svg.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
  svg.replaceChildren(...faces.map((face) => group(face.box, face.state)));
  if (!numbered) return;
  const height = Math.max(...size) / 24;
  for (const [place, face] of faces.entries()) svg.children[place].append(label(face, height));
}

/**
 * Draw the boxes that a page names in the attributes of their element; the size of the photo is asked for.
 * @param {SVGSVGElement} svg
 */
export async function drawNamed(svg) {
  const { faces, size, key } = svg.dataset;
  if (faces === undefined || size === undefined || key !== undefined) return;
  const { width, height } = await (await ask(size)).json();
  draw(svg, JSON.parse(faces), [width, height], true);
}

/**
 * @param {Boxed} face
 * @param {number} height of its letters, in the pixels of the boxes
 */
function label(face, height) {
  const made = document.createElementNS(SVG, "text");
  const [left, top, right] = face.box;
  const values = { x: (left + right) / 2, y: Math.max(top - height / 4, height), "font-size": height, "text-anchor": "middle" };
  for (const [name, value] of Object.entries(values)) made.setAttribute(name, String(value));
  made.textContent = String(face.number ?? "");
  return made;
}

/**
 * @param {[number, number, number, number]} box
 * @param {string} state
 */
function group([left, top, right, bottom], state) {
  const made = document.createElementNS(SVG, "g");
  made.setAttribute("class", state);
  for (const layer of ["under", "over"]) { // a dark line below the light one: seen on any photo
    const rect = document.createElementNS(SVG, "rect");
    const values = { class: layer, x: left, y: top, width: right - left, height: bottom - top, rx: (right - left) / 12 };
    for (const [name, value] of Object.entries(values)) rect.setAttribute(name, String(value));
    made.append(rect);
  }
  return made;
}
