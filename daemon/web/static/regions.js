// Pages that the server fills in whole: whatever happens, they are fetched anew, and what is another by now is replaced.

import { find, write, writeTimes } from "./elements.js";
import { SessionEnded, follow } from "./live.js";
import { bringToLife } from "./pair.js";
import { showWaiting } from "./waiting.js";

/** Return where this page is got: what a form answered with lies elsewhere. */
function address() {
  const page = find(document, "[aria-current=page]", HTMLAnchorElement);
  return page.pathname === location.pathname ? location.href : page.href;
}

/**
 * What the server sent for an element that is on the page: a pair that was opened since is no news.
 * @type {WeakMap<Element, Element>}
 */
const sent = new WeakMap();

/** Keep the parts of the page that say `data-live` as they are now at the server. */
export function start() {
  for (const region of document.querySelectorAll("[data-live]")) remember(region);
  enliven(document);
  document.querySelector("details.pair")?.setAttribute("open", "");
  follow(async () => {
    const fresh = await fetchPage();
    showWaiting(Number(find(fresh, "#waiting", HTMLElement).dataset.number));
    for (const region of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(region.id);
      if (other !== null) renew(region, other);
    }
    enliven(document);
  });
}

/** @param {ParentNode} root */
function enliven(root) {
  writeTimes(root);
  for (const pair of root.querySelectorAll("details.pair")) {
    if (pair instanceof HTMLDetailsElement) bringToLife(pair);
  }
}

/**
 * Return this page as the server gives it now, parsed by the browser as a document without scripts.
 * @returns {Promise<Document>}
 */
function fetchPage() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", address());
    request.responseType = "document";
    request.onload = () => {
      if (request.status === 401) reject(new SessionEnded());
      else if (request.responseXML !== null && request.status === 200) resolve(request.responseXML);
      else reject(new Error(`the server answered ${request.status}`));
    };
    request.onerror = () => reject(new Error("the server is gone"));
    request.send();
  });
}

/** @param {Element} region */
function remember(region) {
  for (const element of [region, ...region.querySelectorAll("[id]")]) {
    sent.set(element, /** @type {Element} */ (element.cloneNode(true)));
  }
}

/**
 * Replace what is another by now; items with an id of their own one by one, so that what a person looks at stays.
 * @param {Element} region
 * @param {Element} other
 */
function renew(region, other) {
  if (sent.get(region)?.isEqualNode(other)) return;
  sent.set(region, /** @type {Element} */ (other.cloneNode(true)));
  if (other.childElementCount === 0) return write(region, other.textContent ?? "");
  const focused = document.activeElement?.id;
  const kept = new Map([...region.children].filter((child) => child.id).map((child) => [child.id, child]));
  const next = [...other.children].map((child) => {
    const old = kept.get(child.id);
    return old !== undefined && sent.get(old)?.isEqualNode(child) ? old : document.importNode(child, true);
  });
  arrange(region, next);
  for (const child of next) {
    if (!sent.has(child)) remember(child);
  }
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus();
}

/**
 * Make `next` the children of an element; those that stay are not moved, which would take the focus from them.
 * @param {Element} region
 * @param {Element[]} next
 */
function arrange(region, next) {
  for (const child of [...region.children]) {
    if (!next.includes(child)) child.remove();
  }
  let place = region.firstElementChild;
  for (const child of next) {
    if (child === place) place = place.nextElementSibling;
    else region.insertBefore(child, place);
  }
}
