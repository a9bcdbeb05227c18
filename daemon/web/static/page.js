// What every page does, and the one on which photos are dropped besides.

import { confirmForms } from "./dialogs.js";
import { start as startDrop } from "./drop.js";
import { start as startRegions } from "./regions.js";

confirmForms();
if (document.body.id === "page-drop") startDrop();
else startRegions();
