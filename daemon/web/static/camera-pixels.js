// Pictures made smaller, larger and straight: number for number what Pillow makes of them, so that models see here what
// they see in the rest of uncnn. Pillow 12, src/libImaging/Resample.c and Geometry.c.

/**
 * A picture: RGBA, 8 bits each, rows from the top. A canvas's `ImageData` is one.
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {Uint8ClampedArray} data
 */

/**
 * A filter by which pictures are resized.
 * @typedef {object} Filter
 * @property {number} support in pixels of the larger one
 * @property {(x: number) => number} weight
 */

/** @type {Filter} */
export const BOX = { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };

/** @type {Filter} */
export const BILINEAR = { support: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) };

/** @type {Filter} */
export const BICUBIC = { support: 2, weight: cubic };

const CHANNELS = 3; // alpha is always 255
const FIXED = 1 << 22; // weights are whole numbers of 1 / FIXED

/** @param {number} x */
function cubic(x) {
  const far = Math.abs(x);
  if (far < 1) return (1.5 * far - 2.5) * far * far + 1;
  return far < 2 ? ((-0.5 * far + 2.5) * far - 4) * far + 2 : 0;
}

/**
 * Return a picture of another size.
 * @param {Picture} picture
 * @param {number} width
 * @param {number} height
 * @param {Filter} filter
 * @returns {Picture}
 */
export function resized(picture, width, height, filter) {
  const across = width === picture.width ? picture : along(picture, width, filter, true);
  return height === across.height ? across : along(across, height, filter, false);
}

/**
 * Return a picture that is resized in one direction.
 * @param {Picture} picture
 * @param {number} length its new width, or height
 * @param {Filter} filter
 * @param {boolean} horizontal
 * @returns {Picture}
 */
function along(picture, length, filter, horizontal) {
  const { first, taps, weights, most } = weighed(horizontal ? picture.width : picture.height, length, filter);
  const width = horizontal ? length : picture.width;
  const height = horizontal ? picture.height : length;
  const { data: old } = picture;
  const data = new Uint8ClampedArray(4 * width * height);
  const step = horizontal ? 4 : 4 * picture.width; // from one pixel to the next in this direction
  for (let y = 0, target = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, target += 4) {
      const place = horizontal ? x : y;
      let from = horizontal ? 4 * (y * picture.width + first[place]) : 4 * (first[place] * picture.width + x);
      let [red, green, blue] = [FIXED / 2, FIXED / 2, FIXED / 2];
      for (let tap = most * place; tap < most * place + taps[place]; tap += 1, from += step) {
        red = (red + Math.imul(old[from], weights[tap])) | 0; // whole numbers of 32 bits, as in Pillow
        green = (green + Math.imul(old[from + 1], weights[tap])) | 0;
        blue = (blue + Math.imul(old[from + 2], weights[tap])) | 0;
      }
      data[target] = red >> 22;
      data[target + 1] = green >> 22;
      data[target + 2] = blue >> 22;
      data[target + 3] = 255;
    }
  }
  return { width, height, data };
}

/**
 * Return for each place of a line of `length` pixels from which pixel of the old line on it is made, of how many, and
 * with which weights: `most` of them a place, of which the rest is not used.
 * @param {number} old its length before
 * @param {number} length
 * @param {Filter} filter
 */
function weighed(old, length, filter) {
  const scale = old / length;
  const stretched = Math.max(scale, 1);
  const support = filter.support * stretched;
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(length);
  const taps = new Int32Array(length);
  const weights = new Int32Array(length * most);
  for (let place = 0; place < length; place += 1) {
    const centre = (place + 0.5) * scale;
    const low = Math.max(Math.trunc(centre - support + 0.5), 0);
    const count = Math.min(Math.trunc(centre + support + 0.5), old) - low;
    const own = Array.from({ length: count }, (_, tap) => filter.weight((tap + low - centre + 0.5) / stretched));
    const whole = own.reduce((sum, each) => sum + each, 0);
    own.forEach((each, tap) => {
      const weight = (whole === 0 ? each : each / whole) * FIXED;
      weights[place * most + tap] = Math.trunc(weight + (weight < 0 ? -0.5 : 0.5));
    });
    first[place] = low;
    taps[place] = count;
  }
  return { first, taps, weights, most };
}

/**
 * Return the part of a picture between these pixels, right and bottom not included.
 * @param {Picture} picture
 * @param {number} left
 * @param {number} top
 * @param {number} right
 * @param {number} bottom
 * @returns {Picture}
 */
export function cut(picture, left, top, right, bottom) {
  const width = right - left;
  const data = new Uint8ClampedArray(4 * width * (bottom - top));
  for (let y = top; y < bottom; y += 1) {
    const begin = 4 * (y * picture.width + left);
    data.set(picture.data.subarray(begin, begin + 4 * width), 4 * (y - top) * width);
  }
  return { width, height: bottom - top, data };
}

/**
 * Put a part back into a picture.
 * @param {Picture} picture
 * @param {Picture} part
 * @param {number} left
 * @param {number} top
 */
export function put(picture, part, left, top) {
  for (let y = 0; y < part.height; y += 1) {
    const row = part.data.subarray(4 * y * part.width, 4 * (y + 1) * part.width);
    picture.data.set(row, 4 * ((top + y) * picture.width + left));
  }
}

/**
 * Return a picture mirrored left to right.
 * @param {Picture} picture
 * @returns {Picture}
 */
export function mirrored({ width, height, data }) {
  const from = new Uint32Array(data.buffer, data.byteOffset, width * height);
  const turned = new Uint32Array(width * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) turned[y * width + x] = from[y * width + width - 1 - x];
  }
  return { width, height, data: new Uint8ClampedArray(turned.buffer) };
}

/**
 * Return a picture of `width` x `height`, each of whose points is taken where the map `back` leads: bilinear, black
 * outside. `back` has two rows of three: x and y of the picture from x, y, 1, the centre of the first pixel at 0, 0.
 * @param {Picture} picture
 * @param {number[][]} back
 * @param {number} width
 * @param {number} height
 * @returns {Picture}
 */
export function warped(picture, back, width, height) {
  const [[xx, xy, x0], [yx, yy, y0]] = back;
  const data = new Uint8ClampedArray(4 * width * height);
  for (let row = 0, target = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1, target += 4) {
      data[target + 3] = 255;
      const x = xx * column + xy * row + x0;
      const y = yx * column + yy * row + y0;
      if (x < -0.5 || x >= picture.width - 0.5 || y < -0.5 || y >= picture.height - 0.5) continue;
      const left = Math.floor(x);
      const top = Math.floor(y);
      const [share, fall] = [x - left, y - top];
      const near = 4 * Math.max(left, 0);
      const far = 4 * Math.min(left + 1, picture.width - 1);
      const upper = 4 * picture.width * Math.max(top, 0);
      const lower = top + 1 < picture.height ? 4 * picture.width * (top + 1) : upper;
      for (let channel = 0; channel < CHANNELS; channel += 1) {
        const above = mixed(picture.data[upper + near + channel], picture.data[upper + far + channel], share);
        const below = mixed(picture.data[lower + near + channel], picture.data[lower + far + channel], share);
        data[target + channel] = Math.trunc(mixed(above, below, fall));
      }
    }
  }
  return { width, height, data };
}

/**
 * @param {number} one
 * @param {number} other
 * @param {number} share of the other
 */
function mixed(one, other, share) {
  return one + (other - one) * share;
}

/**
 * Return the nearest whole number, the even one where two are as near: as Python rounds.
 * @param {number} value
 */
export function rounded(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + Math.abs(below % 2) : Math.round(value);
}
