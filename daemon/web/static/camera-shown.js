// What the page of the camera shows: two pictures, who is in each, and how fast it goes.

import { find, said, write } from "./elements.js";

/** @typedef {import("./camera-worker.js").Looked} Looked */
/** @typedef {import("./camera-worker.js").Seen} Seen */
/** @typedef {import("./camera-pixels.js").Picture} Picture */
/** @typedef {import("./camera-recogniser.js").Known} Known */

/** @typedef {"before" | "after"} Which */

const COUNTED_MILLISECONDS = 1000; // so often it is said how fast it goes

export class Shown {
  constructor() {
    this.since = 0; // when counting began, in milliseconds of the page's clock
    this.frames = 0; // so many since then
    this.late = 0; // milliseconds of all of these together
  }

  /** Keep nothing of what was shown. */
  clear() {
    this.begin();
    write(find(document, "#camera-rate", HTMLElement), "");
    for (const which of /** @type {const} */ (["before", "after"])) {
      Object.assign(find(document, `#camera-${which}`, HTMLCanvasElement), { width: 0, height: 0 });
      list(which, []);
    }
  }

  begin() {
    this.since = performance.now();
    this.frames = 0;
    this.late = 0;
  }

  /**
   * Say who is asked about whom.
   * @param {import("./camera-worker.js").Facts & {unasked: string[]}} facts
   */
  explain({ card, people, unasked }) {
    const asked = find(document, "#camera-asked", HTMLElement);
    const share = asked.dataset.share ?? "";
    write(asked, said("camera", "asked", { name: card.name, threshold: card.threshold, share }));
    const notes = people.length ? [] : [said("camera", "nobody-enrolled")];
    if (unasked.length) notes.push(said("camera", "unasked", { names: unasked.join(", ") }));
    const place = find(document, "#camera-people", HTMLElement);
    write(place, notes.join(" "));
    place.hidden = notes.length === 0;
  }

  /**
   * Show a picture that was looked at.
   * @param {Looked} looked
   * @param {number} milliseconds since the camera gave it
   */
  show({ before, after, faces }, milliseconds) {
    outline(drawn("before", before), faces);
    drawn("after", after);
    list("before", faces);
    list("after", faces);
    this.count(milliseconds, before);
  }

  /**
   * @param {number} milliseconds
   * @param {Picture} picture
   */
  count(milliseconds, { width, height }) {
    this.frames += 1;
    this.late += milliseconds;
    const passed = performance.now() - this.since;
    if (passed < COUNTED_MILLISECONDS) return;
    const rate = ((1000 * this.frames) / passed).toFixed(1);
    const each = Math.round(this.late / this.frames);
    this.begin();
    write(find(document, "#camera-rate", HTMLElement), said("camera", "rate", { rate, milliseconds: each, width, height }));
  }
}

/**
 * Draw a picture, and return what it is drawn on.
 * @param {Which} which
 * @param {Picture} picture
 */
function drawn(which, { width, height, data }) {
  const canvas = find(document, `#camera-${which}`, HTMLCanvasElement);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("no canvas");
  const image = new ImageData(width, height);
  image.data.set(data);
  context.putImageData(image, 0, 0);
  return context;
}

/**
 * Draw a box around each face, with its number.
 * @param {CanvasRenderingContext2D} context
 * @param {Seen[]} faces
 */
function outline(context, faces) {
  context.font = "bold 18px system-ui, sans-serif";
  for (const { number, box: [left, top, right, bottom], sure } of faces) {
    context.setLineDash(sure ? [] : [6, 6]);
    for (const [style, width] of /** @type {const} */ ([["#000a", 4], ["#fff", 2]])) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.strokeRect(left + 0.5, top + 0.5, right - left, bottom - top);
    }
    context.setLineDash([]);
    context.strokeStyle = "#000c";
    context.lineWidth = 4;
    context.strokeText(String(number + 1), left + 6, top + 22);
    context.fillStyle = "#fff";
    context.fillText(String(number + 1), left + 6, top + 22);
  }
}

/**
 * Say who is in a picture.
 * @param {Which} which
 * @param {Seen[]} faces
 */
function list(which, faces) {
  const place = find(document, `#camera-${which}-faces`, HTMLElement);
  const lines = faces.filter((face) => face.sure).sort((one, other) => one.number - other.number);
  const words = lines.map((face) => JSON.stringify([face.number, face[which]])).join();
  if (place.dataset.words === words) return;
  place.dataset.words = words;
  place.replaceChildren(...(lines.length ? lines.map((face) => line(which, face.number, face[which])) : [item(said("camera", "no-face"))]));
}

/**
 * @param {Which} which
 * @param {number} number
 * @param {Known | null} known
 */
function line(which, number, known) {
  const element = item(`${said("camera", "face", { number: number + 1 })}: `);
  const name = document.createElement("strong");
  name.className = "badge";
  name.textContent = known === null ? said("camera", "not-asked") : known.name ?? said("camera", "nobody");
  if (known !== null && which === "after") name.classList.add(known.name === null ? "good" : "bad");
  element.append(name);
  if (known?.cosine != null) element.append(made("soft", ` ${said("camera", "likeness", { value: known.cosine.toFixed(2) })}`));
  return element;
}

/** @param {string} text */
function item(text) {
  const element = document.createElement("li");
  element.textContent = text;
  return element;
}

/**
 * @param {string} style
 * @param {string} text
 */
function made(style, text) {
  const element = document.createElement("span");
  element.className = style;
  element.textContent = text;
  return element;
}
