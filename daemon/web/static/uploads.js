// Photos on their way to the server: one file a request, two at a time, each confirmed. What did not arrive because the
// server was gone is sent again once it is back.

import { said } from "./elements.js";

const AT_ONCE = 2;

/**
 * @typedef {object} Upload
 * @property {number} number
 * @property {File} file
 * @property {"waiting" | "sending" | "unsent" | "sent"} status
 * @property {number} share of its bytes that were sent
 * @property {string} words why it was not taken
 * @property {string} photo its id at the server, once it is there
 * @property {(() => void) | null} cancel
 */

export class Uploads {
  /**
   * @param {(file: File) => string} address where a file is put
   * @param {(upload: Upload) => void} changed
   */
  constructor(address, changed) {
    this.address = address;
    this.changed = changed;
    /** @type {Upload[]} */
    this.all = [];
    this.number = 0;
  }

  /** @param {File[]} files */
  add(files) {
    for (const file of files) {
      this.number += 1;
      /** @type {Upload} */
      const upload = { number: this.number, file, status: "waiting", share: 0, words: "", photo: "", cancel: null };
      this.all.push(upload);
      this.changed(upload);
    }
    this.go();
  }

  /** Send what was not sent because the server was not there. */
  again() {
    for (const upload of this.all) {
      if (upload.status === "unsent" && upload.words === "") this.retry(upload);
    }
  }

  /** @param {Upload} upload */
  retry(upload) {
    upload.status = "waiting";
    upload.words = "";
    this.changed(upload);
    this.go();
  }

  /**
   * Be done with a photo; one that is being sent is sent no further.
   * @param {Upload} upload
   */
  drop(upload) {
    this.all = this.all.filter((each) => each !== upload);
    upload.cancel?.();
    this.go();
  }

  /** Return whether a photo is not at the server yet. */
  get busy() {
    return this.all.some((upload) => upload.status === "waiting" || upload.status === "sending");
  }

  go() {
    const sending = this.all.filter((upload) => upload.status === "sending").length;
    const waiting = this.all.filter((upload) => upload.status === "waiting");
    for (const upload of waiting.slice(0, Math.max(AT_ONCE - sending, 0))) this.send(upload);
  }

  /** @param {Upload} upload */
  send(upload) {
    const request = new XMLHttpRequest(); // fetch does not say how much was sent
    upload.status = "sending";
    upload.share = 0;
    upload.cancel = () => request.abort();
    this.changed(upload);
    request.open("PUT", this.address(upload.file));
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => {
      upload.share = event.total ? event.loaded / event.total : 0;
      this.changed(upload);
    };
    request.onload = () => this.end(upload, request);
    request.onerror = () => this.end(upload, request);
    request.send(upload.file);
  }

  /**
   * @param {Upload} upload
   * @param {XMLHttpRequest} request
   */
  end(upload, request) {
    const answer = parsed(request.responseText);
    upload.cancel = null;
    if (request.status >= 200 && request.status < 300 && typeof answer.id === "string") {
      upload.status = "sent";
      upload.photo = answer.id;
    } else {
      upload.status = "unsent";
      upload.words = request.status === 0 || request.status === 401 ? "" : String(answer.refused ?? said("script", "failed"));
    }
    this.changed(upload);
    this.go();
  }
}

/**
 * @param {string} text
 * @returns {{id?: unknown, refused?: unknown}}
 */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
