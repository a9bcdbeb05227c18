// Whom a recogniser takes a face for, by the numbers of its card: uncnn/plugins/geometry.py and plugins/recognisers.

import { warped } from "./camera-pixels.js";

/** @typedef {import("./camera-pixels.js").Picture} Picture */

/**
 * A recogniser, as its card describes it.
 * @typedef {object} Card
 * @property {string} name
 * @property {{height: number, width: number, order: "RGB" | "BGR", mean: number[], std: number[]}} input
 * @property {[number, number][]} template where landmarks lie in its input
 * @property {number} threshold the cosine from which on two faces are one person's
 */

/** @typedef {{name: string, embeddings: number[][]}} Person one embedding for each photo */

/** @typedef {{name: string | null, cosine: number | null}} Known the person who is named, or nobody; the nearest one's cosine */

/**
 * Return what the recogniser is fed of a face: (pixel - mean) / deviation of its aligned picture, channel by channel.
 * @param {Picture} picture
 * @param {[number, number][]} landmarks
 * @param {Card} card
 */
export function aligned(picture, landmarks, { input, template }) {
  const { width, height, data } = warped(picture, inverse(similarity(landmarks, template)), input.width, input.height);
  const values = new Float32Array(3 * width * height);
  for (let channel = 0; channel < 3; channel += 1) {
    const source = input.order === "BGR" ? 2 - channel : channel;
    for (let pixel = 0; pixel < width * height; pixel += 1) {
      values[channel * width * height + pixel] = (data[4 * pixel + source] - input.mean[channel]) / input.std[channel];
    }
  }
  return values;
}

/**
 * Return the enrolled person that an embedding is of; nobody where none is near enough. What cannot be compared is
 * taken for a match: what cannot be told is never called unknown.
 * @param {ArrayLike<number>} embedding
 * @param {Person[]} people
 * @param {number} threshold
 * @returns {Known}
 */
export function nearest(embedding, people, threshold) {
  /** @type {Known} */
  let best = { name: null, cosine: null };
  for (const person of people) {
    for (const known of person.embeddings) {
      const value = cosine(embedding, known);
      if (Number.isNaN(value)) return { name: person.name, cosine: null };
      if (best.cosine === null || value > best.cosine) best = { name: value < threshold ? null : person.name, cosine: value };
    }
  }
  return best;
}

/**
 * @param {ArrayLike<number>} one
 * @param {ArrayLike<number>} other
 */
export function cosine(one, other) {
  if (one.length !== other.length) return NaN;
  let [product, first, second] = [0, 0, 0];
  for (let place = 0; place < one.length; place += 1) {
    product += one[place] * other[place];
    first += one[place] ** 2;
    second += other[place] ** 2;
  }
  return product / Math.sqrt(first * second);
}

/**
 * Return the similarity that maps points onto a template with the least squares, two rows of three: Umeyama, "Least-
 * squares estimation of transformation parameters between two point patterns", PAMI 1991, as a fit of complex numbers.
 * @param {[number, number][]} points
 * @param {[number, number][]} template
 */
function similarity(points, template) {
  const [fromX, fromY] = middle(points);
  const [toX, toY] = middle(template);
  let [cosine, sine, norm] = [0, 0, 0];
  points.forEach(([x, y], place) => {
    const [across, down] = [x - fromX, y - fromY];
    const [right, below] = [template[place][0] - toX, template[place][1] - toY];
    cosine += across * right + down * below;
    sine += across * below - down * right;
    norm += across ** 2 + down ** 2;
  });
  const [a, b] = [cosine / Math.max(norm, 1e-12), sine / Math.max(norm, 1e-12)];
  return [[a, -b, toX - a * fromX + b * fromY], [b, a, toY - b * fromX - a * fromY]];
}

/** @param {[number, number][]} points */
function middle(points) {
  return [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
}

/** @param {number[][]} matrix two rows of three */
function inverse([[xx, xy, x0], [yx, yy, y0]]) {
  const whole = xx * yy - xy * yx;
  const rows = [[yy / whole, -xy / whole], [-yx / whole, xx / whole]];
  return rows.map(([across, down]) => [across, down, -across * x0 - down * y0]);
}
