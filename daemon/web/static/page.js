// What every page does, and those on which photos are dropped or the camera is taken besides.

import { confirmForms } from "./dialogs.js";
import { start as startDrop } from "./drop.js";
import { start as startRegions } from "./regions.js";

confirmForms();
if (document.body.id === "page-drop") startDrop();
else startRegions();
if (document.body.id === "page-camera") (await import("./camera.js")).start();
