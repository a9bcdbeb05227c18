// Groups of people for `uncnn-daemon evaluate --groups`, as the library Human takes them: sex, age, and how light the skin is.
//   npm install @vladmandic/human @tensorflow/tfjs @tensorflow/tfjs-backend-wasm sharp   (beside this file)
//   node human-groups.js groups.csv people/
// A guess of a network, and light and camera count as skin: good for asking whether cloaks protect some less, for nothing else.
const fs = require('fs');
const http = require('http');
const path = require('path');
const sharp = require('sharp');
const tf = require('@tensorflow/tfjs');
const { setWasmPaths } = require('@tensorflow/tfjs-backend-wasm');

const modules = path.join(__dirname, 'node_modules');
const { Human } = require(path.join(modules, '@vladmandic/human/dist/human.node-wasm.js'));
const LARGEST = 1280; // pixels of the longer side
const CHEEKS = [50, 101, 205, 280, 330, 425]; // points of the face mesh

const median = (values) => values.sort((one, other) => one - other)[values.length >> 1];

// The individual typology angle of a cheek, in degrees: 90 is white, below 28 is tanned or darker (Chardon and others, 1991).
function typology(pixels, width, height, mesh) {
  const patch = CHEEKS.flatMap((point) => {
    const [x, y] = mesh[point].map(Math.round);
    const inside = x >= 1 && y >= 1 && x < width - 1 && y < height - 1;
    return inside ? [-1, 0, 1].flatMap((down) => [-1, 0, 1].map((right) => 3 * ((y + down) * width + x + right))) : [];
  });
  if (!patch.length) return null;
  const linear = [0, 1, 2].map((channel) => {
    const value = median(patch.map((at) => pixels[at + channel])) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  const [y, z] = [[0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]].map((row) => row.reduce((sum, each, n) => sum + each * linear[n], 0));
  const root = (value) => (value > 216 / 24389 ? Math.cbrt(value) : (24389 / 27 * value + 16) / 116);
  const [lightness, yellow] = [116 * root(y) - 16, 200 * (root(y) - root(z / 1.08883))];
  return Math.atan2(lightness - 50, yellow) * 180 / Math.PI;
}

async function main([output, people]) {
  const models = path.join(modules, '@vladmandic/human/models');
  const server = http.createServer((request, answer) => {
    const file = path.join(models, path.basename(request.url));
    fs.existsSync(file) ? fs.createReadStream(file).pipe(answer) : answer.writeHead(404).end();
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const wasm = path.join(modules, '@tensorflow/tfjs-backend-wasm/dist') + path.sep;
  setWasmPaths(wasm);
  await tf.setBackend('wasm');
  const off = { enabled: false };
  const face = { detector: { rotation: true, minConfidence: 0.2 }, iris: off, emotion: off, antispoof: off, liveness: off };
  const modelBasePath = `http://127.0.0.1:${server.address().port}/`;
  const human = new Human({ backend: 'wasm', wasmPath: wasm, modelBasePath, cacheSensitivity: 0, filter: off, face,
    body: off, hand: off, object: off, gesture: off });
  await human.load();
  const lines = ['person,sex,age,skin'];
  const shown = (folder) => fs.readdirSync(folder, { withFileTypes: true }).filter((each) => !each.name.startsWith('.'));
  for (const person of shown(people).filter((each) => each.isDirectory()).map((each) => each.name).sort()) {
    const seen = [];
    for (const name of shown(path.join(people, person)).map((each) => each.name).sort()) {
      const scaled = sharp(path.join(people, person, name)).rotate().removeAlpha().toColourspace('srgb')
        .resize(LARGEST, LARGEST, { fit: 'inside', withoutEnlargement: true });
      const read = await scaled.raw().toBuffer({ resolveWithObject: true }).catch((error) => console.error(`${person}/${name}: ${error.message}`));
      if (!read) continue; // no photo
      const { data, info } = read;
      const photo = tf.tensor4d(new Uint8Array(data), [1, info.height, info.width, info.channels], 'int32');
      const { face: faces } = await human.detect(photo);
      tf.dispose(photo);
      const far = ({ box: [x, y, w, h] }) => (x + w / 2 - info.width / 2) ** 2 + (y + h / 2 - info.height / 2) ** 2;
      const [main] = faces.filter((each) => each.gender).sort((one, other) => far(one) - far(other));
      const sides = { female: 1, male: -1 };
      if (main) seen.push({ female: (sides[main.gender] ?? 0) * main.genderScore, age: main.age, angle: typology(data, info.width, info.height, main.mesh) });
    }
    const angles = seen.map((each) => each.angle).filter((each) => each !== null);
    if (!seen.length || !angles.length) continue;
    const [age, angle] = [median(seen.map((each) => each.age)), median(angles)];
    const side = seen.reduce((sum, each) => sum + each.female, 0);
    const sex = side ? (side > 0 ? 'female' : 'male') : '';
    lines.push([`"${person.replaceAll('"', '""')}"`, sex, age < 40 ? 'under 40' : age < 55 ? '40 to 54' : '55 and over',
      angle > 41 ? 'light' : angle > 28 ? 'intermediate' : 'tanned to dark'].join(','));
    if (process.env.VERBOSE) console.log(person, sex, age, angle.toFixed(0));
  }
  fs.writeFileSync(output, `${lines.join('\n')}\n`);
  server.close();
}

if (process.argv.length !== 4) {
  console.error('usage: node human-groups.js OUT.csv PEOPLE/');
  process.exit(2);
}
main(process.argv.slice(2)).then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
