// The page of the camera: all that it needs is fetched once somebody starts it.

import { find, said, write } from "./elements.js";

/** Let the camera be started. */
export function start() {
  /** @type {import("./camera-session.js").Session | null} */
  let session = null;
  find(document, "#camera-tools", HTMLElement).hidden = false;
  find(document, "#camera-start", HTMLButtonElement).addEventListener("click", async () => {
    try {
      session ??= new (await import("./camera-session.js")).Session();
    } catch {
      const banner = find(document, "#camera-problem", HTMLElement);
      write(banner, said("script", "gone"));
      banner.hidden = false;
      return;
    }
    session.run();
  });
}
