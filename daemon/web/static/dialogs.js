// What cannot be taken back is asked once more.

import { find, said } from "./elements.js";

/**
 * Ask; return whether the person agreed.
 * @param {{heading: string, words: string, detail?: string, doing: string, dangerous?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function confirmed(question) {
  const dialog = find(document, "#confirm", HTMLDialogElement);
  find(dialog, "#confirm-heading", HTMLElement).textContent = question.heading;
  find(dialog, "#confirm-words", HTMLElement).textContent = question.words;
  find(dialog, "#confirm-detail", HTMLElement).textContent = question.detail ?? "";
  const button = find(dialog, "#confirm-do", HTMLButtonElement);
  button.textContent = question.doing;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "do"), { once: true });
  });
}

/** Have every form that says `data-confirm` ask before it is sent; it names what it asks in its `data-` attributes. */
export function confirmForms() {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.dataset.confirm === undefined) return;
    event.preventDefault();
    const name = form.dataset.name ?? "";
    const agreed = await confirmed({
      heading: said("script", `${form.dataset.confirm}-heading`, { name }),
      words: said("script", `${form.dataset.confirm}-words`, { name }),
      detail: form.dataset.detail,
      doing: find(form, "button", HTMLButtonElement).textContent ?? "",
    });
    if (!agreed) return;
    if (!form.isConnected) document.body.append(form); // its part of the page is another by now: the server says so
    form.submit();
  });
}
