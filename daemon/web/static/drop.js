// The page on which photos are dropped: by hand, by button, by paste, from a folder or a camera.

import { confirmed } from "./dialogs.js";
import { announce, find, said, write } from "./elements.js";
import { dropped, sorted } from "./folders.js";
import { Refused, ask, follow } from "./live.js";
import { Row, isDone } from "./row.js";
import { fetchState } from "./state.js";
import { Uploads } from "./uploads.js";
import { showWaiting } from "./waiting.js";

/** @typedef {import("./state.js").Photo} Photo */

const TICK_MILLISECONDS = 1000;

/** Take photos, and show what becomes of them. */
export function start() {
  const list = find(document, "#photos", HTMLOListElement);
  const endings = new Set((list.dataset.endings ?? "").split(" "));
  /** @type {Map<string, Row>} */
  const rows = new Map();
  list.replaceChildren();

  const uploads = new Uploads(address, (upload) => {
    const key = `upload-${upload.number}`;
    const row = rows.get(key) ?? added(key);
    if (upload.status !== "sent") {
      row.showUpload(upload);
      if (upload.status === "unsent") check();
      return count();
    }
    uploads.drop(upload);
    rows.delete(key);
    row.upload = null;
    if (rows.has(upload.photo)) row.element.remove();
    else rows.set(upload.photo, row);
    check();
  });

  /** @param {string} key */
  function added(key) {
    const row = new Row(act);
    rows.set(key, row);
    list.append(row.element);
    return row;
  }

  async function refresh() {
    const { photos, waiting } = await fetchState();
    showWaiting(waiting);
    const known = new Set(photos.map((photo) => photo.id));
    for (const [key, row] of rows) {
      if (row.upload !== null || known.has(key)) continue;
      row.element.remove();
      rows.delete(key);
    }
    for (const photo of photos) show(photo);
    count();
  }

  /** @param {Photo} photo */
  function show(photo) {
    const row = rows.get(photo.id) ?? added(photo.id);
    const before = row.photo?.status;
    row.showPhoto(photo);
    row.element.id = `photo-${photo.id}`;
    if (before === undefined || before === photo.status || !isDone(photo.status)) return;
    announce(`${photo.name}: ${said("status", photo.status)}`);
    if (rows.size === 1) row.open(); // whoever dropped one photo wants to see it
  }

  function count() {
    const all = [...rows.values()];
    const done = all.filter((row) => row.photo !== null && isDone(row.photo.status)).length;
    document.body.classList.toggle("has-photos", all.length > 0);
    find(document, "#together", HTMLElement).hidden = all.length === 0;
    find(document, "#download-all", HTMLElement).hidden = !all.some((row) => row.photo?.cloaked?.given);
    write(find(document, "#counted", HTMLElement), said("script", "counted", { done, all: all.length }));
  }

  /**
   * @param {Row} row
   * @param {import("./row.js").Action} action
   */
  async function act(row, action) {
    if (row.upload !== null) {
      if (action === "resend") return uploads.retry(row.upload);
      uploads.drop(row.upload);
      rows.delete(`upload-${row.upload.number}`);
      row.element.remove();
      return count();
    }
    const photo = row.photo;
    if (photo === null || !(await agreed(photo, action))) return;
    /** @type {Record<string, Record<string, string>>} */
    const fields = {
      release: { sha256: photo.cloaked?.sha256 ?? "" },
      stronger: { policy: photo.policy, strength: "utmost" },
      retry: { policy: photo.policy, strength: photo.strength },
    };
    const step = action === "stronger" ? "retry" : action;
    try {
      await ask(`/photos/${photo.id}/${step}`, { method: "POST", body: new URLSearchParams(fields[action]) });
    } catch (error) {
      if (error instanceof Refused) return write(find(row.element, ".words", HTMLElement), error.message);
    }
    check(); // what became of it, or that the server is gone
  }

  /** @param {import("./folders.js").Found} found */
  function take(found) {
    const ignored = find(document, "#ignored", HTMLElement);
    ignored.hidden = found.ignored === 0;
    write(ignored, found.ignored === 0 ? "" : said("script", "ignored", { number: found.ignored }));
    uploads.add(found.photos);
    if (found.photos.length) announce(said("script", "taken", { number: found.photos.length }));
  }

  receive(endings, take);
  addEventListener("presence", (event) => event instanceof CustomEvent && event.detail === "here" && uploads.again());
  addEventListener("beforeunload", (event) => uploads.busy && event.preventDefault());
  setInterval(() => rows.forEach((row) => row.tick()), TICK_MILLISECONDS);
  const check = follow(refresh);
}

/**
 * Return where a photo is put, with what the person chose.
 * @param {File} file
 */
function address(file) {
  const query = new URLSearchParams();
  for (const name of ["policy", "strength"]) {
    const chosen = document.querySelector(`#${name}`);
    if (chosen instanceof HTMLSelectElement && chosen.value) query.set(name, chosen.value);
  }
  return `/photos/${encodeURIComponent(file.name)}?${query}`;
}

/**
 * @param {Photo} photo
 * @param {import("./row.js").Action} action
 */
async function agreed(photo, action) {
  if (action !== "release") return true;
  return confirmed({
    heading: said("script", "release-heading", { name: photo.name }),
    words: photo.words,
    detail: `sha256 ${photo.cloaked?.sha256 ?? ""}`,
    doing: said("script", "release-doing"),
  });
}

/**
 * Hand on whatever photos a person brings.
 * @param {ReadonlySet<string>} endings
 * @param {(found: import("./folders.js").Found) => void} take
 */
function receive(endings, take) {
  for (const id of ["choices", "drop-hint"]) find(document, `#${id}`, HTMLElement).hidden = false;
  for (const id of ["files", "folder", "camera"]) {
    const input = find(document, `#${id}`, HTMLInputElement);
    input.addEventListener("change", () => {
      take(sorted([...(input.files ?? [])], endings));
      input.value = ""; // the same photo may be chosen once more
    });
  }
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(sorted(files, endings));
  });
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dragged");
  });
  for (const name of ["dragleave", "drop"]) addEventListener(name, () => document.body.classList.remove("dragged"));
  addEventListener("drop", async (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    take(await dropped(event.dataTransfer, endings));
  });
}
