// What the server says of the dropped photos: `GET /state.json`, as docs/web.md has it.

import { ask } from "./live.js";

/**
 * @typedef {object} Recogniser
 * @property {string} name
 * @property {"surrogate" | "judge"} role
 * @property {string} view
 * @property {boolean} linked
 * @property {number | null} inside how far beyond the threshold it is, as a share of it; below 0 it links
 */

/**
 * @typedef {object} Face
 * @property {[number, number, number, number]} box left, top, right, bottom in pixels of the photo
 * @property {string} state
 * @property {string | null} uncertain
 * @property {string | null} strength
 * @property {Recogniser[]} recognisers
 */

/**
 * @typedef {object} Copy
 * @property {string} name
 * @property {string} sha256
 * @property {number} size bytes
 * @property {boolean} given whoever asks gets it; otherwise a person decides first
 */

/**
 * @typedef {object} Photo
 * @property {string} id
 * @property {string} name
 * @property {number} size
 * @property {string} status
 * @property {string} policy
 * @property {string} strength
 * @property {{name: string, words: string, share: number | null} | null} stage
 * @property {string} words
 * @property {number | null} seconds
 * @property {boolean} video there are no pictures of it
 * @property {[number, number] | null} picture width and height
 * @property {[number, number, number, number][]} boxes
 * @property {Face[]} faces
 * @property {string[]} notes
 * @property {boolean} likenesses whom recognisers take its faces for can be asked
 * @property {Copy | null} cloaked
 * @property {number} forgotten_in_seconds
 */

/** @typedef {{photos: Photo[], waiting: number}} State */

/**
 * Return the state as it is now. Throws what `ask` throws.
 * @returns {Promise<State>}
 */
export async function fetchState() {
  return (await ask("/state.json")).json();
}
