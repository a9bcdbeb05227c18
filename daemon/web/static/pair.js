// Before and after: a line that is moved, the change amplified, a look at 100 %.

import { drawNamed } from "./boxes.js";
import { find, said } from "./elements.js";

const GAIN = 8;
const MIDDLE = 128;

/**
 * Give a pair its behaviour; its pictures are loaded once it is opened.
 * @param {HTMLDetailsElement} pair
 */
export function bringToLife(pair) {
  if (pair.dataset.alive !== undefined) return;
  pair.dataset.alive = "";
  const canvas = find(pair, ".canvas", HTMLElement);
  const slider = find(pair, ".slider", HTMLInputElement);
  const amplify = find(pair, ".amplify", HTMLButtonElement);
  const zoom = find(pair, ".zoom", HTMLButtonElement);
  const move = () => {
    canvas.style.setProperty("--at", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", said("script", "shown", { share: slider.value }));
  };
  slider.addEventListener("input", move);
  canvas.addEventListener("pointermove", (event) => follow(event, pair, slider, move));
  canvas.addEventListener("pointerdown", (event) => follow(event, pair, slider, move));
  canvas.addEventListener("dragstart", (event) => event.preventDefault()); // a picture of the page is no photo to drop
  pair.addEventListener("toggle", () => load(pair));
  amplify.addEventListener("click", () => toggle(pair, amplify, showDifference));
  zoom.addEventListener("click", () => toggle(pair, zoom, showWhole));
  pair.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "c") amplify.click();
    if (event.key === "z") zoom.click();
  });
  move();
  load(pair);
}

/**
 * Name the pictures of a pair: they are fetched once it is open.
 * @param {HTMLDetailsElement} pair
 * @param {string} name what a person calls the photo
 * @param {string} folder the address that its pictures lie under
 * @param {string} version of its copy
 */
export function fill(pair, name, folder, version) {
  if (pair.dataset.version === version) return;
  Object.assign(pair.dataset, { name, version });
  for (const [key, which, size] of [
    ["original", "original", "large"],
    ["cloaked", "cloaked", "large"],
    ["wholeOriginal", "original", "whole"],
    ["wholeCloaked", "cloaked", "whole"],
  ]) pair.dataset[key] = `${folder}/${which}/${size}.jpg?${version}`;
  for (const button of pair.querySelectorAll("[aria-pressed]")) button.setAttribute("aria-pressed", "false");
  showWhole(pair, false);
  load(pair);
}

/** @param {HTMLDetailsElement} pair */
function load(pair) {
  if (!pair.open || !pair.dataset.original) return;
  const whole = find(pair, ".window", HTMLElement).classList.contains("whole");
  const name = pair.dataset.name ?? "";
  drawNamed(find(pair, ".boxes", SVGSVGElement)).catch(() => {}); // what the pictures lack is seen at them
  show(find(pair, ".before", HTMLImageElement), whole ? pair.dataset.wholeOriginal : pair.dataset.original, said("script", "before", { name }));
  show(find(pair, ".after", HTMLImageElement), whole ? pair.dataset.wholeCloaked : pair.dataset.cloaked, said("script", "after", { name }));
}

/**
 * @param {HTMLImageElement} image
 * @param {string | undefined} address
 * @param {string} words
 */
function show(image, address, words) {
  image.alt = words;
  if (address !== undefined && image.getAttribute("src") !== address) image.src = address;
}

/**
 * @param {HTMLDetailsElement} pair
 * @param {HTMLButtonElement} button
 * @param {(pair: HTMLDetailsElement, on: boolean) => void} act
 */
function toggle(pair, button, act) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  act(pair, on);
}

/**
 * Show the photo pixel for pixel, or as much of it as there is room for.
 * @param {HTMLDetailsElement} pair
 * @param {boolean} on
 */
function showWhole(pair, on) {
  const frame = find(pair, ".window", HTMLElement);
  frame.classList.toggle("whole", on);
  frame.tabIndex = on ? 0 : -1; // what scrolls is reached by keyboard
  for (const image of pair.querySelectorAll("img")) {
    const fit = () => {
      image.style.width = on ? `${image.naturalWidth / devicePixelRatio}px` : "";
    };
    image.onload = () => {
      fit();
      if (find(pair, ".amplify", HTMLElement).getAttribute("aria-pressed") === "true") showDifference(pair, true);
    };
    fit();
  }
  load(pair);
}

/**
 * Show eight times what the copy changes, on grey: where it is grey, nothing is another.
 * @param {HTMLDetailsElement} pair
 * @param {boolean} on
 */
function showDifference(pair, on) {
  const canvas = find(pair, ".difference", HTMLCanvasElement);
  canvas.hidden = !on;
  for (const each of pair.querySelectorAll(".boxes, .cut, .tag")) each.toggleAttribute("hidden", on);
  if (!on) return;
  const [before, after] = [".before", ".after"].map((name) => find(pair, name, HTMLImageElement));
  const [width, height] = [before.naturalWidth, before.naturalHeight];
  if (width === 0 || after.naturalWidth !== width || after.naturalHeight !== height) return;
  const made = pixels(canvas, before, width, height);
  const old = made.data.slice();
  const changed = pixels(canvas, after, width, height);
  for (let at = 0; at < old.length; at += 1) {
    if (at % 4 !== 3) changed.data[at] = MIDDLE + GAIN * (changed.data[at] - old[at]);
  }
  find2d(canvas).putImageData(changed, 0, 0);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLImageElement} image
 * @param {number} width
 * @param {number} height
 */
function pixels(canvas, image, width, height) {
  canvas.width = width;
  canvas.height = height;
  const context = find2d(canvas);
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, width, height);
}

/** @param {HTMLCanvasElement} canvas */
function find2d(canvas) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("this browser has no canvas");
  return context;
}

/**
 * Move the line to where a mouse is pressed, or a finger goes; at 100 % the photo itself is moved instead.
 * @param {PointerEvent} event
 * @param {HTMLDetailsElement} pair
 * @param {HTMLInputElement} slider
 * @param {() => void} move
 */
function follow(event, pair, slider, move) {
  const frame = find(pair, ".window", HTMLElement);
  if (event.buttons === 0) return;
  if (frame.classList.contains("whole")) {
    if (event.pointerType === "mouse") frame.scrollBy(-event.movementX, -event.movementY);
    return;
  }
  event.preventDefault();
  const box = find(pair, ".canvas", HTMLElement).getBoundingClientRect();
  slider.value = String(Math.round((100 * (event.clientX - box.left)) / box.width));
  move();
}
