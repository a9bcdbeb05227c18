// Hides faces as uncnn/daemon/live/hiding.py does: what lies around each is averaged over a few large cells, between
// which colours run into each other. What takes its place one day changes a picture in place, too, where its faces are.

import { BILINEAR, BOX, cut, put, resized, rounded } from "./camera-pixels.js";

/** @typedef {import("./camera-pixels.js").Picture} Picture */

/** @typedef {[number, number, number, number]} Box left, top, right, bottom; the centre of the first pixel is at 0, 0 */

const CELLS = 3; // across the larger side of a face's box
const GROWN = 0.3; // of that side, by which more is hidden on each side

/**
 * Hide a face, in place.
 * @param {Picture} picture
 * @param {Box[]} boxes of the face: now, and where it was just before
 * @param {number} more of its size that is hidden besides on each side
 */
export function hide(picture, boxes, more) {
  const [left, top, right, bottom] = around(boxes, GROWN + more);
  average(picture, [left, top, right, bottom], Math.max(longerSide(boxes[0]) / CELLS, 1));
}

/**
 * Average what lies in a box over cells of about this size, in place.
 * @param {Picture} picture
 * @param {Box} box
 * @param {number} cell pixels
 */
export function average(picture, box, cell) {
  const [left, top] = [clipped(Math.floor(box[0]), picture.width), clipped(Math.floor(box[1]), picture.height)];
  const [right, bottom] = [clipped(Math.ceil(box[2]) + 1, picture.width), clipped(Math.ceil(box[3]) + 1, picture.height)];
  if (left >= right || top >= bottom) return;
  const piece = cut(picture, left, top, right, bottom);
  const few = resized(piece, cells(piece.width, cell), cells(piece.height, cell), BOX);
  put(picture, resized(few, piece.width, piece.height, BILINEAR), left, top);
}

/**
 * Return the box that holds all of `boxes`, and so much of their size more on each side.
 * @param {Box[]} boxes
 * @param {number} grown
 * @returns {Box}
 */
function around(boxes, grown) {
  const margin = grown * Math.max(...boxes.map(longerSide));
  const low = [0, 1].map((axis) => Math.min(...boxes.map((box) => box[axis])) - margin);
  const high = [2, 3].map((axis) => Math.max(...boxes.map((box) => box[axis])) + margin);
  return [low[0], low[1], high[0], high[1]];
}

/** @param {Box} box */
export function longerSide(box) {
  return Math.max(box[2] - box[0], box[3] - box[1]);
}

/**
 * Return how many cells lie along so many pixels.
 * @param {number} pixels
 * @param {number} cell
 */
function cells(pixels, cell) {
  return Math.max(rounded(pixels / cell), 1);
}

/**
 * @param {number} value
 * @param {number} most
 */
function clipped(value, most) {
  return Math.min(Math.max(value, 0), most);
}
