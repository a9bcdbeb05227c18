// The page follows what happens. One tab of all listens and tells the others: a browser opens six connections to a host,
// and an event stream takes one for good. After every event and every reconnect all is fetched anew.

import { find, said, write } from "./elements.js";

const RETRY_MILLISECONDS = 2000;
const ENDED_MILLISECONDS = 5000;
const SETTLE_MILLISECONDS = 150;

/** @typedef {"here" | "gone" | "ended"} Presence */

/** @typedef {"changed" | "gone"} News */

/** This browser is not let in, or no longer. */
export class SessionEnded extends Error {}

/** The server does not do what it was asked; its message says why. */
export class Refused extends Error {}

/**
 * Call `refresh` now, and whenever something changed; say in the banner when the server is gone or the session over.
 * Return what finds out at once whether it is there.
 * @param {() => Promise<void>} refresh
 * @returns {() => void}
 */
export function follow(refresh) {
  const channel = new BroadcastChannel("uncnn");
  let timer = 0;
  let running = false;
  let wanted = false;

  async function fetchAnew() {
    if (running) {
      wanted = true;
      return;
    }
    running = true;
    wanted = false;
    try {
      await refresh();
      show("here");
    } catch (error) {
      const ended = error instanceof SessionEnded;
      show(ended ? "ended" : "gone");
      soon(ended ? ENDED_MILLISECONDS : RETRY_MILLISECONDS);
    }
    running = false;
    if (wanted) soon(SETTLE_MILLISECONDS);
  }

  /** @param {number} milliseconds */
  function soon(milliseconds) {
    clearTimeout(timer);
    timer = setTimeout(fetchAnew, milliseconds);
  }

  /** @param {News} news */
  function hear(news) {
    soon(news === "gone" ? 0 : SETTLE_MILLISECONDS); // whether it is gone is found out by each tab itself
  }

  channel.onmessage = (event) => hear(event.data);
  listenAlone((news) => {
    channel.postMessage(news);
    hear(news);
  });
  addEventListener("pageshow", (event) => event.persisted && soon(0));
  for (const name of ["online", "offline"]) addEventListener(name, () => soon(0));
  document.addEventListener("visibilitychange", () => document.hidden || soon(0));
  fetchAnew();
  return () => soon(0);
}

/**
 * Listen for the server's events as soon as no other tab does. Where tabs cannot agree, each listens: locks need a
 * secure context, which this machine's own address is and another one's by plain HTTP is not.
 * @param {(news: News) => void} tell
 */
function listenAlone(tell) {
  if (navigator.locks === undefined) listen(tell);
  else navigator.locks.request("uncnn-events", () => new Promise(() => listen(tell)));
}

/** @param {(news: News) => void} tell */
function listen(tell) {
  const source = new EventSource("/events");
  source.onopen = () => tell("changed");
  source.onmessage = () => tell("changed");
  source.addEventListener("changed", () => tell("changed"));
  source.onerror = () => {
    tell("gone");
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(tell), RETRY_MILLISECONDS);
  };
}

/** @param {Presence} presence */
function show(presence) {
  const banner = find(document, "#banner", HTMLElement);
  if (document.body.dataset.presence === presence) return;
  document.body.dataset.presence = presence;
  if (presence !== "here") write(banner, said("script", presence));
  banner.hidden = presence === "here";
  dispatchEvent(new CustomEvent("presence", { detail: presence }));
}

/**
 * Return the answer to a request. Throws SessionEnded, Refused, or TypeError: there is no server.
 * @param {string} path
 * @param {RequestInit} [options]
 */
export async function ask(path, options) {
  const answer = await fetch(path, { headers: { accept: "application/json" }, ...options });
  if (answer.status === 401) throw new SessionEnded();
  if (!answer.ok) throw new Refused(await refusal(answer));
  return answer;
}

/** @param {Response} answer */
async function refusal(answer) {
  try {
    return String((await answer.json()).refused);
  } catch {
    return said("script", "failed");
  }
}
