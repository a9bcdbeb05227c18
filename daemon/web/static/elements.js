// What the other modules do with the document: nothing here or elsewhere is ever made from a string of HTML.

/**
 * Return the element of `type` that `selector` finds first; throws where there is none.
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {{new (): T}} type
 * @returns {T}
 */
export function find(root, selector, type) {
  const found = root.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`);
  return found;
}

/**
 * Return a copy of the one element in the template of this id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function copyOf(id) {
  const content = find(document, `#${id}`, HTMLTemplateElement).content.cloneNode(true);
  return find(/** @type {DocumentFragment} */ (content), "*", HTMLElement);
}

/**
 * Set the text of an element where it is another: what does not change is not read out again.
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Return what the server says in the reader's language, by section and name.
 * @returns {Record<string, Record<string, string>>}
 */
function read() {
  return JSON.parse(find(document, "#strings", HTMLScriptElement).textContent ?? "{}");
}

const strings = read();

/**
 * Return a string of `strings.toml`, with {words} in braces filled in; the name itself where there is none.
 * @param {string} section
 * @param {string} name
 * @param {Record<string, string | number>} [filled]
 */
export function said(section, name, filled = {}) {
  const text = strings[section]?.[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, word) => String(filled[word] ?? whole));
}

/**
 * Have a screen reader say something, without moving the focus.
 * @param {string} words
 */
export function announce(words) {
  write(find(document, "#announced", HTMLElement), words);
}

/**
 * Return how long something took, as a person says it.
 * @param {number} seconds
 */
export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return said("script", "seconds", { seconds: whole });
  return said("script", "minutes", { minutes: Math.floor(whole / 60), seconds: whole % 60 });
}

/**
 * Write points in time as the reader does, in the reader's time. A day alone stays that day, wherever the reader is.
 * @param {ParentNode} root
 */
export function writeTimes(root) {
  for (const element of root.querySelectorAll("time")) {
    const isDay = /^\d{4}-\d{2}-\d{2}$/.test(element.dateTime);
    const time = new Date(isDay ? `${element.dateTime}T00:00` : element.dateTime);
    if (Number.isNaN(time.valueOf())) continue;
    write(element, time.toLocaleString([], { dateStyle: "medium", timeStyle: isDay ? undefined : "short" }));
  }
}
