// The faces of a photo, as boxes over its picture; in the colour of what became of each.

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {import("./state.js").Photo} Photo */

/**
 * Draw the boxes of a photo's faces; before there is a verdict, those that were found.
 * @param {SVGSVGElement} svg
 * @param {Photo} photo
 */
export function draw(svg, photo) {
  if (photo.picture === null) return;
  const faces = photo.faces.length ? photo.faces : photo.boxes.map((box) => ({ box, state: "found" }));
  const key = JSON.stringify(faces.map((face) => [face.box, face.state]));
  if (svg.dataset.key === key) return;
  svg.dataset.key = key;
  svg.setAttribute("viewBox", `0 0 ${photo.picture[0]} ${photo.picture[1]}`);
  svg.replaceChildren(...faces.map((face) => group(face.box, face.state)));
}

/**
 * @param {[number, number, number, number]} box
 * @param {string} state
 */
function group([left, top, right, bottom], state) {
  const made = document.createElementNS(SVG, "g");
  made.setAttribute("class", state);
  for (const layer of ["under", "over"]) { // a dark line below the light one: seen on any photo
    const rect = document.createElementNS(SVG, "rect");
    const values = { class: layer, x: left, y: top, width: right - left, height: bottom - top, rx: (right - left) / 12 };
    for (const [name, value] of Object.entries(values)) rect.setAttribute(name, String(value));
    made.append(rect);
  }
  return made;
}
