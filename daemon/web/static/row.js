// One photo on the page: a row that fills, from the first byte that is sent to the verdict.

import { draw, facesOf, wrong } from "./boxes.js";
import { copyOf, duration, find, said, write } from "./elements.js";
import { likenesses } from "./likenesses.js";
import { bringToLife, fill } from "./pair.js";
import { list, plainWords, table } from "./verdict.js";

/** @typedef {import("./state.js").Photo} Photo */
/** @typedef {import("./uploads.js").Upload} Upload */
/** @typedef {"release" | "stronger" | "retry" | "resend" | "forget"} Action */

const ACTIONS = /** @type {const} */ (["release", "stronger", "retry", "resend", "forget"]);
const UNDONE = new Set(["waiting", "working"]);
const STRONGEST = "utmost";

/** @param {string} status */
export function isDone(status) {
  return !UNDONE.has(status);
}

export class Row {
  /** @param {(row: Row, action: Action) => void} act */
  constructor(act) {
    this.element = copyOf("photo-template");
    /** @type {Photo | null} */
    this.photo = null;
    /** @type {Upload | null} */
    this.upload = null;
    this.began = 0; // when its present stage did, by this browser's clock
    this.stage = "";
    this.pair = find(this.element, ".pair", HTMLDetailsElement);
    bringToLife(this.pair);
    for (const action of ACTIONS) this.#button(action).addEventListener("click", () => act(this, action));
  }

  /**
   * Show how far a photo is sent.
   * @param {Upload} upload
   */
  showUpload(upload) {
    this.upload = upload;
    const unsent = upload.status === "unsent";
    this.#head(upload.file.name, upload.status, unsent ? upload.words || said("script", "again") : "");
    this.#bar(!unsent, upload.status === "sending" ? upload.share : null, said("status", upload.status));
    this.#offer(unsent ? ["resend", "forget"] : ["forget"]);
    this.#details(null);
  }

  /**
   * Show what the server knows of it.
   * @param {Photo} photo
   */
  showPhoto(photo) {
    this.photo = photo;
    this.upload = null;
    const working = photo.status === "working";
    const stage = photo.stage ? said("stage", photo.stage.name) : said("status", photo.status);
    if (stage !== this.stage) [this.stage, this.began] = [stage, performance.now()];
    this.#head(photo.name, photo.status, plainWords(photo));
    if (working) write(find(this.element, ".badge", HTMLElement), stage);
    this.#bar(working, photo.stage?.share ?? null, stage);
    this.#offer(offered(photo));
    this.#details(photo);
    this.tick();
  }

  /** Say how long it takes, each second anew: what is at work is seen to be. */
  tick() {
    const photo = this.photo;
    const took = find(this.element, ".took", HTMLElement);
    if (photo?.status === "working") write(took, duration((performance.now() - this.began) / 1000));
    else write(took, photo?.seconds ? said("script", "took", { duration: duration(photo.seconds) }) : "");
  }

  /** Open the pair, if there is one. */
  open() {
    if (!this.pair.hidden) this.pair.open = true;
  }

  /**
   * @param {string} name
   * @param {string} status
   * @param {string} words
   */
  #head(name, status, words) {
    this.element.dataset.status = status;
    write(find(this.element, ".name", HTMLElement), name);
    write(find(this.element, ".badge", HTMLElement), said("status", status));
    write(find(this.element, ".words", HTMLElement), words);
  }

  /**
   * @param {boolean} moving
   * @param {number | null} share
   * @param {string} words
   */
  #bar(moving, share, words) {
    const bar = find(this.element, ".bar", HTMLElement);
    bar.hidden = !moving;
    bar.setAttribute("aria-label", words);
    find(bar, "span", HTMLElement).style.width = `${Math.round(100 * (share ?? 0))}%`;
    if (share === null) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
  }

  /** @param {Action[]} actions */
  #offer(actions) {
    for (const action of ACTIONS) this.#button(action).hidden = !actions.includes(action);
    const download = find(this.element, ".download", HTMLAnchorElement);
    download.hidden = !this.photo?.cloaked?.given;
    if (this.photo?.cloaked?.given) download.href = `/photos/${this.photo.id}/cloaked`;
  }

  /** @param {Photo | null} photo */
  #details(photo) {
    const image = find(this.element, ".thumb img", HTMLImageElement);
    image.hidden = photo === null || photo.video || (photo.status === "error" && photo.picture === null);
    this.pair.hidden = !photo?.cloaked || photo.video;
    find(this.element, ".asked", HTMLElement).hidden = !photo?.faces.length;
    likenesses(find(this.element, ".likenesses", HTMLDetailsElement), photo);
    if (photo === null) return;
    const folder = `/photos/${photo.id}`;
    if (image.hidden === false && image.getAttribute("src") === null) image.src = `${folder}/original/small.jpg`;
    write(find(this.element, ".whole", HTMLElement), photo.words);
    draw(find(this.element, ".thumb .boxes", SVGSVGElement), facesOf(photo), photo.picture);
    draw(find(this.pair, ".boxes", SVGSVGElement), wrong(photo.faces), photo.picture);
    if (photo.cloaked && !photo.video) fill(this.pair, photo.name, folder, photo.cloaked.sha256.slice(0, 16));
    list(find(this.element, ".notes", HTMLElement), photo.notes);
    table(find(this.element, ".asked tbody", HTMLElement), photo);
  }

  /** @param {Action} action */
  #button(action) {
    return find(this.element, `.${action}`, HTMLButtonElement);
  }
}

/**
 * Return what a person may do with a photo.
 * @param {Photo} photo
 * @returns {Action[]}
 */
function offered(photo) {
  if (!isDone(photo.status)) return ["forget"];
  /** @type {Action[]} */
  const actions = photo.cloaked && !photo.cloaked.given ? ["release"] : [];
  if (photo.status === "error") actions.push("retry");
  else if (photo.cloaked && photo.status !== "protected" && photo.faces.length && photo.strength !== STRONGEST) actions.push("stronger");
  return [...actions, "forget"];
}
