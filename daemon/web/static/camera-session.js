// The camera from its start to its end: its pictures before and after, side by side, for as long as somebody looks at them.

import { Shown } from "./camera-shown.js";
import { Looker, LookerFailed } from "./camera-looker.js";
import { announce, find, said, write } from "./elements.js";
import { Refused, SessionEnded, ask } from "./live.js";

const LARGEST_PIXELS = 640 * 480; // of the pictures that are looked at
const SMALL = { width: { ideal: 640 }, height: { ideal: 480 }, resizeMode: "none" }; // as the camera has it: nothing is cut off
const LARGEST = { width: { ideal: 7680 }, height: { ideal: 4320 }, resizeMode: "none" }; // for the one that is cloaked
const SETTLES = 3; // pictures, until the camera gives the size that it was asked for

/** Why a browser does not give a camera, by the names of its errors (Media Capture and Streams, getUserMedia). */
const REASONS = new Map([
  ["NotAllowedError", "refused"],
  ["SecurityError", "refused"],
  ["NotFoundError", "none"],
  ["OverconstrainedError", "none"],
  ["NotReadableError", "busy"],
  ["AbortError", "busy"],
]);

/** What stands in the way; its message is said to the person. */
class Problem extends Error {}

/** The camera from its start to its end, again and again. */
export class Session {
  constructor() {
    button("stop").addEventListener("click", () => this.stop());
    button("take").addEventListener("click", () => this.take());
    addEventListener("pagehide", () => this.stream !== null && this.stop());
    document.addEventListener("visibilitychange", () => this.pause(document.hidden));
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.canvas = document.createElement("canvas");
    this.shown = new Shown();
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {Looker | null} */
    this.looker = null;
    /** @type {Promise<unknown>} */
    this.fresh = Promise.resolve(); // once there is a picture that was not looked at
    this.turn = 0; // rises with each start and each end: what belongs to an earlier one is over
  }

  /** Take the camera, and show what it shows until it is stopped. */
  async run() {
    this.turn += 1;
    const turn = this.turn;
    this.show("loading");
    try {
      const stream = await taken();
      if (turn !== this.turn) return release(stream);
      this.stream = stream;
      for (const track of stream.getTracks()) track.addEventListener("ended", () => this.fail(said("camera", "unplugged")));
      const looker = new Looker();
      this.looker = looker;
      this.video.srcObject = stream;
      await this.video.play();
      this.shown.explain(await looker.load());
      await this.look(looker);
      if (turn === this.turn) this.show("on");
      while (turn === this.turn) await this.look(looker);
    } catch (error) {
      if (turn === this.turn) this.fail(wordsOf(error));
    }
  }

  /**
   * Look at the next picture, and show it; while nobody sees the page, wait until somebody does.
   * @param {Looker} looker
   */
  async look(looker) {
    await (document.hidden ? seen() : this.fresh);
    if (document.hidden || this.looker !== looker) return;
    this.fresh = next(this.video); // comes while this one is looked at
    if (this.video.videoWidth === 0) return;
    const began = performance.now();
    const looked = await looker.look(this.picture(began / 1000));
    if (this.looker === looker) this.shown.show(looked, performance.now() - began);
  }

  /**
   * Return the present picture, made smaller where it is large.
   * @param {number} seconds
   * @returns {import("./camera-worker.js").Shot}
   */
  picture(seconds) {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(Math.sqrt(LARGEST_PIXELS / (videoWidth * videoHeight)), 1);
    this.canvas.width = Math.max(Math.round(videoWidth * scale), 1);
    this.canvas.height = Math.max(Math.round(videoHeight * scale), 1);
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    if (context === null) throw new Error("no canvas");
    context.drawImage(this.video, 0, 0, width, height);
    return { width, height, data: context.getImageData(0, 0, width, height).data, seconds };
  }

  /** Hand a picture, as large as the camera gives one, to the page of photos, and go there. */
  async take() {
    button("take").disabled = true;
    announce(said("camera", "taking"));
    try {
      for (const track of this.stream?.getTracks() ?? []) await track.applyConstraints(LARGEST).catch(() => {}); // then as it is
      for (let number = 0; number < SETTLES; number += 1) await next(this.video);
      const content = await still(this.video);
      await ask(`/photos/${named(new Date())}`, { method: "PUT", body: content });
      this.stop();
      location.assign("/");
    } catch (error) {
      this.problem(wordsOf(error));
    } finally {
      button("take").disabled = false;
    }
  }

  /** @param {boolean} hidden */
  pause(hidden) {
    for (const track of this.stream?.getTracks() ?? []) track.enabled = !hidden;
    if (button("take").hidden) return; // it is off, or not on yet
    write(find(document, "#camera-state", HTMLElement), said("camera", hidden ? "paused" : "on"));
  }

  /** Give the camera back. */
  stop() {
    this.end();
    this.show("off");
  }

  /** @param {string} words */
  fail(words) {
    this.end();
    this.show("off");
    this.problem(words);
  }

  end() {
    this.turn += 1;
    if (this.stream !== null) release(this.stream);
    this.stream = null;
    this.video.srcObject = null;
    this.looker?.end();
    this.looker = null;
  }

  /** @param {"loading" | "on" | "off"} state */
  show(state) {
    this.problem("");
    write(find(document, "#camera-state", HTMLElement), said("camera", state));
    find(document, "#camera-views", HTMLElement).hidden = state !== "on";
    const focused = document.activeElement;
    button("start").hidden = state !== "off";
    button("stop").hidden = state === "off";
    button("take").hidden = state !== "on";
    if (focused instanceof HTMLElement && focused.hidden) button(state === "off" ? "start" : "stop").focus();
    if (state !== "on") this.shown.clear();
  }

  /** @param {string} words */
  problem(words) {
    const banner = find(document, "#camera-problem", HTMLElement);
    write(banner, words);
    banner.hidden = words === "";
  }
}

/**
 * Return the camera's pictures. Throws Problem: there are none to be had.
 * @returns {Promise<MediaStream>}
 */
async function taken() {
  if (!isSecureContext) throw new Problem(said("camera", "insecure"));
  if (navigator.mediaDevices === undefined) throw new Problem(said("camera", "unsupported"));
  try {
    return await navigator.mediaDevices.getUserMedia({ video: SMALL });
  } catch (error) {
    const reason = error instanceof DOMException ? REASONS.get(error.name) : undefined;
    throw new Problem(reason === undefined ? String(error) : said("camera", reason));
  }
}

/**
 * Give a camera back: its light goes out.
 * @param {MediaStream} stream
 */
function release(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/**
 * Return why the camera ended, in words.
 * @param {unknown} error
 */
function wordsOf(error) {
  if (error instanceof SessionEnded) return said("script", "ended");
  if (error instanceof LookerFailed) return said("camera", "models", { words: error.message });
  if (error instanceof TypeError) return said("script", "gone"); // of fetch: nobody answered
  return error instanceof Problem || error instanceof Refused ? error.message : String(error);
}

/** Wait until the page is seen. */
function seen() {
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

/**
 * Wait for the next picture; a camera that gives none, or a page that nobody sees, is not waited for.
 * @param {HTMLVideoElement} video
 */
function next(video) {
  return new Promise((resolve) => {
    setTimeout(resolve, 1000);
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
}

/**
 * Return the present picture as a file, without a loss.
 * @param {HTMLVideoElement} video
 * @returns {Promise<Blob>}
 */
function still(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob === null ? reject(new Error("no picture")) : resolve(blob)), "image/png");
  });
}

/**
 * Return the name of a picture that was taken at a time.
 * @param {Date} time
 */
function named(time) {
  const parts = [time.getFullYear(), time.getMonth() + 1, time.getDate(), time.getHours(), time.getMinutes(), time.getSeconds()];
  return `camera-${parts.map((part) => String(part).padStart(2, "0")).join("-")}.png`;
}

/** @param {"start" | "stop" | "take"} name */
function button(name) {
  return find(document, `#camera-${name}`, HTMLButtonElement);
}
