// RetinaFace as uncnn/plugins/detectors has it: a picture is seen at three sizes, and what these views agree on is a
// face. Deng, Guo, Ververas, Kotsia, Zafeiriou, "RetinaFace", CVPR 2020; where we depart from it is said there.
// A camera's picture is looked at with few pixels, so that no view is ever cut into tiles.

import { BICUBIC, mirrored, resized, rounded } from "./camera-pixels.js";

/** @typedef {import("./camera-pixels.js").Picture} Picture */
/** @typedef {import("./camera-hiding.js").Box} Box */

/**
 * @typedef {object} Face
 * @property {Box} box
 * @property {[number, number][]} landmarks eyes, nose, corners of the mouth: those on the picture's left side first
 * @property {number} score 0 to 1
 */

/**
 * What may be a face, as one view saw it: the two corners of its box and its landmarks, seven points, in pixels of the
 * picture, of which the left edge of the first one is at 0.
 * @typedef {object} Candidate
 * @property {number[]} points x and y in turn
 * @property {number} probability
 * @property {number} view its place among the views
 */

/** @typedef {{width: number, height: number, mirrored: boolean}} View a picture at one size */

/** @typedef {Record<"boxes" | "logits" | "landmarks", Float32Array>} Outputs of the network, anchor by anchor */

/** @typedef {(input: Float32Array, height: number, width: number) => Promise<Outputs>} Forward runs the network */

export const LOOK_PIXELS = 480 * 360; // of the largest view
const MEANS = [104, 117, 123]; // of blue, green and red, which is the order that the network wants
const STEPS = [1, 2 / 3, 1 / 3];
const COARSEST_SIDE = 512;
const MULTIPLE = 32;

const LEVELS = [{ stride: 8, sizes: [16, 32] }, { stride: 16, sizes: [64, 128] }, { stride: 32, sizes: [256, 512] }];
const CENTRE_VARIANCE = 0.1;
const SIZE_VARIANCE = 0.2;
const MIRRORED_POINTS = [0, 1, 3, 2, 4, 6, 5];

const SAME_FACE_IOU = 0.5;
const DUPLICATE_IOU = 0.4;
const UNSEEN = 0.02;
const HOPELESS = 4; // logits against a face, from which on it is less probable than that
const VOTES_PX = [16, 256];
const SMALLEST_PX = 16;

/**
 * Return the faces of a picture whose score is at least `threshold`, best first.
 * @param {Picture} picture
 * @param {Forward} forward
 * @param {number} threshold
 * @returns {Promise<Face[]>}
 */
export async function detect(picture, forward, threshold) {
  const views = ladder(picture.width, picture.height);
  /** @type {Candidate[]} */
  const seen = [];
  let source = picture;
  for (const [number, view] of views.entries()) {
    const rendered = resized(source, view.width, view.height, BICUBIC);
    if (view.width < picture.width) source = rendered;
    const [height, width] = [multiple(view.height), multiple(view.width)];
    const outputs = await forward(prepared(view.mirrored ? mirrored(rendered) : rendered, height, width), height, width);
    for (const candidate of decoded(outputs, height, width, number)) {
      if (view.mirrored) mirror(candidate, view.width);
      seen.push(scaled(candidate, picture.width / view.width, picture.height / view.height));
    }
  }
  const scales = views.map((view) => Math.sqrt((view.width * view.height) / (picture.width * picture.height)));
  return fused(seen, scales, threshold, picture);
}

/**
 * Return the views of a picture, the finest first; none is larger than the picture.
 * @param {number} width
 * @param {number} height
 * @returns {View[]}
 */
function ladder(width, height) {
  const finest = Math.min(1, Math.sqrt(LOOK_PIXELS / (width * height)));
  const scales = STEPS.map((step) => finest * step);
  while (Math.min(width, height) * scales[scales.length - 1] > COARSEST_SIDE) scales.push(scales[scales.length - 1] / 2);
  return scales.map((scale, number) => ({
    width: Math.max(rounded(width * scale), 1),
    height: Math.max(rounded(height * scale), 1),
    mirrored: number >= 2,
  }));
}

/** @param {number} length */
function multiple(length) {
  return Math.ceil(length / MULTIPLE) * MULTIPLE;
}

/**
 * Return what the network is fed: blue, green and red less their means; what the picture leaves is 0.
 * @param {Picture} picture
 * @param {number} height
 * @param {number} width
 */
function prepared(picture, height, width) {
  const input = new Float32Array(3 * height * width);
  for (const [channel, mean] of MEANS.entries()) {
    for (let y = 0; y < picture.height; y += 1) {
      const target = (channel * height + y) * width;
      const from = 4 * y * picture.width + 2 - channel;
      for (let x = 0; x < picture.width; x += 1) input[target + x] = picture.data[from + 4 * x] - mean;
    }
  }
  return input;
}

/**
 * Yield what the network saw in a view.
 * @param {Outputs} outputs
 * @param {number} height
 * @param {number} width
 * @param {number} view
 * @returns {Generator<Candidate>}
 */
function* decoded({ boxes, logits, landmarks }, height, width, view) {
  let anchor = 0;
  for (const { stride, sizes } of LEVELS) {
    for (let y = 0.5; y < height / stride; y += 1) {
      for (let x = 0.5; x < width / stride; x += 1) {
        for (const size of sizes) {
          const against = logits[2 * anchor] - logits[2 * anchor + 1];
          const probability = against > HOPELESS ? 0 : 1 / (1 + Math.exp(against));
          if (probability >= UNSEEN) {
            const [box, five] = [boxes.subarray(4 * anchor, 4 * anchor + 4), landmarks.subarray(10 * anchor, 10 * anchor + 10)];
            yield { points: placed(x * stride, y * stride, size, box, five), probability, view };
          }
          anchor += 1;
        }
      }
    }
  }
}

/**
 * Return the seven points that an anchor's outputs stand for.
 * @param {number} x
 * @param {number} y
 * @param {number} size
 * @param {Float32Array} box
 * @param {Float32Array} five
 */
function placed(x, y, size, box, five) {
  const [across, down] = [x + box[0] * CENTRE_VARIANCE * size, y + box[1] * CENTRE_VARIANCE * size];
  const [wide, high] = [box[2], box[3]].map((each) => (size * Math.exp(Math.min(each * SIZE_VARIANCE, 4))) / 2);
  const points = [across - wide, down - high, across + wide, down + high];
  five.forEach((each, place) => points.push((place % 2 ? y : x) + each * CENTRE_VARIANCE * size));
  return points;
}

/**
 * Move a candidate of a mirrored view to where it is in the view itself.
 * @param {Candidate} candidate
 * @param {number} width
 */
function mirror(candidate, width) {
  const { points } = candidate;
  const turned = MIRRORED_POINTS.flatMap((point) => [width - points[2 * point], points[2 * point + 1]]);
  [turned[0], turned[2]] = [turned[2], turned[0]];
  candidate.points = turned;
}

/**
 * @param {Candidate} candidate
 * @param {number} across
 * @param {number} down
 * @returns {Candidate}
 */
function scaled(candidate, across, down) {
  return { ...candidate, points: candidate.points.map((each, place) => each * (place % 2 ? down : across)) };
}

/**
 * Return the faces that the views agree on, best first.
 * @param {Candidate[]} candidates
 * @param {number[]} scales of the views: their pixels for each of the picture
 * @param {number} threshold
 * @param {Picture} picture
 * @returns {Face[]}
 */
function fused(candidates, scales, threshold, picture) {
  let rest = candidates.filter((each) => asked(longerSide(each.points), scales)[each.view]);
  rest.sort((one, other) => other.probability - one.probability);
  const faces = [];
  while (rest.length && rest[0].probability >= threshold) {
    const shared = rest.map((each, place) => (place === 0 ? 1 : overlap(rest[0].points, each.points)));
    const face = agreed(rest.filter((_, place) => shared[place] >= SAME_FACE_IOU), scales, picture);
    const [left, top, right, bottom] = face.box;
    if (face.score >= threshold && Math.max(right - left, bottom - top) >= SMALLEST_PX) faces.push(face);
    rest = rest.filter((_, place) => shared[place] < DUPLICATE_IOU);
  }
  return faces.sort((one, other) => other.score - one.score);
}

/**
 * Return the face that candidates of one place make: its score is the mean vote, in logits, of the views that can judge
 * its size.
 * @param {Candidate[]} same
 * @param {number[]} scales
 * @param {Picture} picture
 * @returns {Face}
 */
function agreed(same, scales, picture) {
  const whole = same.reduce((sum, each) => sum + each.probability ** 2, 0);
  const points = same[0].points.map((_, place) =>
    same.reduce((sum, each) => sum + each.points[place] * each.probability ** 2, 0) / whole);
  const votes = scales.map(() => UNSEEN);
  const judges = asked(longerSide(points), scales);
  for (const each of same) {
    votes[each.view] = Math.max(votes[each.view], each.probability * overlap(points, each.points));
    judges[each.view] = true;
  }
  const odds = votes.filter((_, view) => judges[view]).map((vote) => Math.log(vote / (1 - Math.min(vote, 1 - 1e-6))));
  const mean = odds.reduce((sum, each) => sum + each, 0) / odds.length;
  return placedFace(points, 1 / (1 + Math.exp(-mean)), picture);
}

/**
 * Return a face with its box inside the picture, moved so that the centre of the first pixel is at 0, 0.
 * @param {number[]} points
 * @param {number} score
 * @param {Picture} picture
 * @returns {Face}
 */
function placedFace(points, score, { width, height }) {
  const [left, top, right, bottom] = points.slice(0, 4).map((each, place) =>
    Math.min(Math.max(each, 0), place % 2 ? height : width) - 0.5);
  /** @type {[number, number][]} */
  const landmarks = [2, 3, 4, 5, 6].map((point) => [points[2 * point] - 0.5, points[2 * point + 1] - 0.5]);
  return { box: [left, top, right, bottom], landmarks, score };
}

/**
 * Return which views can judge a face of this size; the coarsest alone, if none can.
 * @param {number} size in pixels of the picture
 * @param {number[]} scales
 */
function asked(size, scales) {
  const found = scales.map((scale) => size * scale >= VOTES_PX[0] && size * scale <= VOTES_PX[1]);
  if (!found.includes(true)) found[scales.indexOf(Math.min(...scales))] = true;
  return found;
}

/** @param {number[]} points */
function longerSide(points) {
  return Math.max(points[2] - points[0], points[3] - points[1]);
}

/**
 * Return the intersection over union of two boxes, each of which begins such numbers.
 * @param {number[]} one
 * @param {number[]} other
 */
export function overlap(one, other) {
  const across = Math.max(Math.min(one[2], other[2]) - Math.max(one[0], other[0]), 0);
  const down = Math.max(Math.min(one[3], other[3]) - Math.max(one[1], other[1]), 0);
  const areas = [one, other].map((box) => (box[2] - box[0]) * (box[3] - box[1]));
  return (across * down) / Math.max(areas[0] + areas[1] - across * down, 1e-6);
}
