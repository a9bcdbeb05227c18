// The page's side of the worker that looks at pictures.

import { ask } from "./live.js";

/** @typedef {import("./camera-worker.js").Looked} Looked */
/** @typedef {import("./camera-worker.js").Shot} Shot */
/** @typedef {import("./camera-worker.js").Facts} Facts */
/** @typedef {import("./camera-worker.js").Answered} Answered */

/** @typedef {{createPolicy: (name: string, rules: {createScriptURL: (url: string) => string}) => {createScriptURL: (url: string) => unknown}}} TrustedTypes */

const WORKER = "/static/camera-worker.js";
const POLICY = "camera-worker";

/** What goes wrong where the models run; its message says what. */
export class LookerFailed extends Error {}

export class Looker {
  constructor() {
    this.worker = new Worker(address, { type: "module" });
    this.number = 0;
    /** @type {Map<number, {done: (answer: any) => void, failed: (error: Error) => void}>} */
    this.waiting = new Map();
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.worker.onerror = (event) => this.end(event.message || WORKER);
  }

  /**
   * Load the models. Throws LookerFailed, and what asking the server does.
   * @returns {Promise<Facts & {unasked: string[]}>}
   */
  async load() {
    const facts = await (await ask("/camera.json")).json();
    const loaded = { card: facts.recogniser, people: facts.people };
    await this.ask({ load: loaded });
    return { ...loaded, unasked: facts.unasked };
  }

  /**
   * Look at a picture, whose data are handed over.
   * @param {Shot} shot
   * @returns {Promise<Looked>}
   */
  look(shot) {
    return this.ask({ look: shot }, [shot.data.buffer]);
  }

  /**
   * @param {object} asked
   * @param {Transferable[]} handed over
   * @returns {Promise<any>}
   */
  ask(asked, handed = []) {
    this.number += 1;
    return new Promise((done, failed) => {
      this.waiting.set(this.number, { done, failed });
      this.worker.postMessage({ ...asked, number: this.number }, handed);
    });
  }

  /** @param {Answered} answered */
  hear({ number, answer, failed }) {
    const waiting = this.waiting.get(number);
    this.waiting.delete(number);
    if (failed === undefined) waiting?.done(answer);
    else waiting?.failed(new LookerFailed(failed));
  }

  /**
   * End the worker; whoever waits for an answer gets none.
   * @param {string} [words] why
   */
  end(words = "") {
    this.worker.terminate();
    for (const { failed } of this.waiting.values()) failed(new LookerFailed(words));
    this.waiting.clear();
  }
}

/** @type {any} */
const address = trusted();

/** Return the address of the worker as a browser takes it that trusts no text: this page has leave for that one. */
function trusted() {
  /** @type {TrustedTypes | undefined} */
  const types = Reflect.get(globalThis, "trustedTypes");
  if (types === undefined) return WORKER;
  const policy = types.createPolicy(POLICY, {
    createScriptURL: (url) => {
      if (url !== WORKER) throw new TypeError(`${url} is no script of the camera's`);
      return url;
    },
  });
  return policy.createScriptURL(WORKER);
}
