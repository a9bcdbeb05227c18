// Looks at the camera's pictures beside the page, so that it stays smooth: finds faces, says who they are among the
// enrolled people, hides them, and asks who they are once more. It fetches its models from the page's own server, and
// sends nothing anywhere.

import { InferenceSession, Tensor, env } from "../onnxruntime/ort.wasm.bundle.min.mjs";
import { detect } from "./camera-detector.js";
import { FAINT, Following, SURE } from "./camera-following.js";
import { hide, longerSide } from "./camera-hiding.js";
import { aligned, nearest } from "./camera-recogniser.js";

/** @typedef {import("./camera-pixels.js").Picture} Picture */
/** @typedef {import("./camera-detector.js").Face} Face */
/** @typedef {import("./camera-following.js").Followed} Followed */
/** @typedef {import("./camera-recogniser.js").Card} Card */
/** @typedef {import("./camera-recogniser.js").Person} Person */
/** @typedef {import("./camera-recogniser.js").Known} Known */

/**
 * What is known of a face: who it was taken for when that was asked last, in the picture and with the face hidden.
 * @typedef {object} Seen
 * @property {number} number
 * @property {import("./camera-hiding.js").Box} box
 * @property {boolean} sure
 * @property {Known | null} before
 * @property {Known | null} after
 */

/** @typedef {{card: Card, people: Person[]}} Facts */
/** @typedef {{before: Picture, after: Picture, faces: Seen[], milliseconds: number}} Looked */
/** @typedef {{width: number, height: number, data: Uint8ClampedArray, seconds: number}} Shot */

/**
 * What the worker is asked, and what it answers.
 * @typedef {{number: number} & ({load: Facts} | {look: Shot} | {describe: Shot})} Asked
 * @typedef {{number: number, failed?: string, answer?: unknown}} Answered
 */

const ASK_SECONDS = 1; // so often the recogniser is asked about a face
const MOST_ASKED = 3; // the largest faces

/** The models, and what is known of the faces so far. */
class Looker {
  /**
   * @param {InferenceSession} detector
   * @param {InferenceSession} recogniser
   * @param {Facts} facts
   */
  constructor(detector, recogniser, facts) {
    this.detector = detector;
    this.recogniser = recogniser;
    this.facts = facts;
    this.following = new Following();
    /** @type {Map<number, {at: number, before: Known, after: Known}>} */
    this.known = new Map();
  }

  /** @param {Facts} facts */
  static async load(facts) {
    env.wasm.numThreads = 1; // more need memory that is shared, which every other page would have to allow
    const [runtime, detector, recogniser] = await Promise.all(
      ["/onnxruntime/ort-wasm-simd-threaded.wasm", "/camera/detector.onnx", "/camera/recogniser.onnx"].map(fetched));
    env.wasm.wasmBinary = runtime;
    const sessions = [];
    for (const model of [detector, recogniser]) {
      sessions.push(await InferenceSession.create(new Uint8Array(model), { executionProviders: ["wasm"] }));
    }
    return new Looker(sessions[0], sessions[1], facts);
  }

  /**
   * Return a picture before and after, and its faces.
   * @param {Shot} shot
   * @returns {Promise<Looked>}
   */
  async look({ width, height, data, seconds }) {
    const began = performance.now();
    const before = { width, height, data };
    const found = await this.faces(before);
    const followed = this.following.look(found, seconds);
    const after = { width, height, data: data.slice() };
    for (const { face, before: earlier, missing } of followed) hide(after, [face.box, earlier], missing);
    await this.ask(followed, before, after, seconds);
    const faces = followed.filter((each) => each.missing === 0).map((each) => this.seen(each));
    return { before, after, faces, milliseconds: performance.now() - began };
  }

  /** @param {Picture} picture */
  faces(picture) {
    return detect(picture, (input, height, width) => this.forward(input, height, width), FAINT);
  }

  /**
   * Return the embedding of a face.
   * @param {Picture} picture
   * @param {Face} face
   */
  async embedding(picture, face) {
    const { card } = this.facts;
    const input = new Tensor("float32", aligned(picture, face.landmarks, card), [1, 3, card.input.height, card.input.width]);
    return (await this.recogniser.run({ input })).embedding.data;
  }

  /**
   * Ask who the largest faces are, each once in a while, in the picture and where it is hidden.
   * @param {Followed[]} followed
   * @param {Picture} before
   * @param {Picture} after
   * @param {number} seconds
   */
  async ask(followed, before, after, seconds) {
    const { card, people } = this.facts;
    const there = new Set(followed.map((each) => each.number));
    for (const number of this.known.keys()) there.has(number) || this.known.delete(number);
    const large = followed.filter((each) => each.missing === 0 && each.face.score >= SURE);
    large.sort((one, other) => longerSide(other.face.box) - longerSide(one.face.box));
    const due = large.slice(0, MOST_ASKED).filter((each) => seconds - (this.known.get(each.number)?.at ?? -Infinity) >= ASK_SECONDS);
    for (const { number, face } of due) {
      const pair = [];
      for (const picture of [before, after]) {
        pair.push(nearest(await this.embedding(picture, face), people, card.threshold));
      }
      this.known.set(number, { at: seconds, before: pair[0], after: pair[1] });
    }
  }

  /**
   * @param {Followed} followed
   * @returns {Seen}
   */
  seen({ number, face }) {
    const { before = null, after = null } = this.known.get(number) ?? {};
    return { number, box: face.box, sure: face.score >= SURE, before, after };
  }

  /**
   * Return the faces of a picture with their embeddings: the numbers, as the tests compare them with Python's.
   * @param {Shot} shot
   */
  async describe(shot) {
    const found = await this.faces(shot);
    const embeddings = [];
    for (const face of found) embeddings.push([...(await this.embedding(shot, face))]);
    const hidden = { ...shot, data: shot.data.slice() };
    for (const face of found) hide(hidden, [face.box], 0);
    return { faces: found, embeddings, hidden: hidden.data };
  }

  /**
   * @param {Float32Array} input
   * @param {number} height
   * @param {number} width
   */
  async forward(input, height, width) {
    const { boxes, logits, landmarks } = await this.detector.run({ images: new Tensor("float32", input, [1, 3, height, width]) });
    return { boxes: boxes.data, logits: logits.data, landmarks: landmarks.data };
  }
}

/** @param {string} path */
async function fetched(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.arrayBuffer();
}

/** @type {Looker | null} */
let looker = null;

/** @param {Asked} asked */
async function answered(asked) {
  if ("load" in asked) {
    looker = await Looker.load(asked.load);
    return {};
  }
  if (looker === null) throw new Error("no models were loaded");
  return "look" in asked ? looker.look(asked.look) : looker.describe(asked.describe);
}

/** @type {Promise<void>} */
let before = Promise.resolve(); // one thing after another

addEventListener("message", (event) => {
  before = before.then(async () => {
    /** @type {Asked} */
    const asked = event.data;
    try {
      postMessage({ number: asked.number, answer: await answered(asked) });
    } catch (error) {
      postMessage({ number: asked.number, failed: String(error) });
    }
  });
});
