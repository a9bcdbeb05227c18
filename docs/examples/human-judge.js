// A judge from outside: the embedding by the library Human of the main face of each photo, and how old it takes it to be.
//   npm install @vladmandic/human @tensorflow/tfjs @tensorflow/tfjs-backend-wasm sharp   (beside this file)
//   uncnn-daemon evaluate people/ --distractors strangers/ --judge-command "node human-judge.js"
const fs = require('fs');
const http = require('http');
const path = require('path');
const sharp = require('sharp');
const tf = require('@tensorflow/tfjs');
const { setWasmPaths } = require('@tensorflow/tfjs-backend-wasm');

const modules = path.join(__dirname, 'node_modules');
const { Human } = require(path.join(modules, '@vladmandic/human/dist/human.node-wasm.js'));
const LARGEST = 1280; // pixels of the longer side, as web pages scale photos down

async function main([output, ...folders]) {
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
  const rows = {};
  for (const file of folders.flatMap((folder) => fs.readdirSync(folder).sort().map((name) => path.join(folder, name)))) {
    const scaled = sharp(file).rotate().removeAlpha().toColourspace('srgb')
      .resize(LARGEST, LARGEST, { fit: 'inside', withoutEnlargement: true });
    const { data, info } = await scaled.raw().toBuffer({ resolveWithObject: true });
    const photo = tf.tensor4d(new Uint8Array(data), [1, info.height, info.width, info.channels], 'int32');
    const { face: faces } = await human.detect(photo);
    tf.dispose(photo);
    const far = ({ box: [x, y, w, h] }) => (x + w / 2 - info.width / 2) ** 2 + (y + h / 2 - info.height / 2) ** 2;
    const [main] = faces.filter((each) => each.embedding?.length).sort((one, other) => far(one) - far(other));
    rows[file] = main ? { human: Array.from(main.embedding), age: main.age } : {};
  }
  fs.writeFileSync(output, JSON.stringify(rows));
  server.close();
}

main(process.argv.slice(2)).then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
