// Faces followed from one look to the next, as uncnn/daemon/live/following.py does: one that is lost is hidden on where
// it was, in a box that grows.

import { overlap } from "./camera-detector.js";
import { longerSide } from "./camera-hiding.js";

/** @typedef {import("./camera-hiding.js").Box} Box */
/** @typedef {import("./camera-detector.js").Face} Face */

/**
 * @typedef {object} Followed
 * @property {number} number
 * @property {Face} face as it was seen last
 * @property {Box} before its box one look earlier
 * @property {number} best its best score so far
 * @property {number} seenAt seconds
 * @property {number} missing for so many seconds it was not seen
 */

export const FAINT = 0.15; // from this score on a detection continues a face
const BEGINS = 0.3; // and from this one on it begins one
export const SURE = 0.46; // the least score of a face in a photo

const WAITS_SECONDS = 1.5;
const GHOST_SECONDS = 0.7; // so long where it was never seen well
const LEAST_IOU = 0.2;
const NEAR = 0.7; // of a face's size: where it lies nearer than that to where it was, it is the same one

export class Following {
  constructor() {
    /** @type {Followed[]} */
    this.faces = [];
    this.count = 0;
  }

  /**
   * Take in what was found in a picture at a time, and return the faces that are there, seen or expected.
   * @param {Face[]} found best first
   * @param {number} seconds
   */
  look(found, seconds) {
    const open = new Set(this.faces);
    for (const face of found) {
      const followed = nearest([...open], face.box);
      if (followed !== undefined) {
        open.delete(followed);
        Object.assign(followed, { face, before: followed.face.box, seenAt: seconds, best: Math.max(followed.best, face.score) });
      } else if (face.score >= BEGINS) {
        this.faces.push({ number: this.count, face, before: face.box, best: face.score, seenAt: seconds, missing: 0 });
        this.count += 1;
      }
    }
    for (const each of this.faces) each.missing = seconds - each.seenAt;
    this.faces = this.faces.filter((each) => each.missing <= (each.best >= SURE ? WAITS_SECONDS : GHOST_SECONDS));
    return this.faces;
  }
}

/**
 * Return which of the faces is at this box.
 * @param {Followed[]} faces
 * @param {Box} box
 */
function nearest(faces, box) {
  const shared = faces.map((each) => ({ each, iou: overlap(each.face.box, box), apart: apart(each.face.box, box) }));
  const near = shared.filter(({ iou, apart: far }) => iou >= LEAST_IOU || far <= NEAR);
  return near.sort((one, other) => other.iou - one.iou || one.apart - other.apart)[0]?.each;
}

/**
 * Return how far the middles of two boxes are apart, in sizes of the larger one.
 * @param {Box} one
 * @param {Box} other
 */
function apart(one, other) {
  const [across, down] = [0, 1].map((axis) => (one[axis] + one[axis + 2] - other[axis] - other[axis + 2]) / 2);
  return Math.hypot(across, down) / Math.max(longerSide(one), longerSide(other));
}
