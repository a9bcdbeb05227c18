// A judge from outside: the descriptor by the library face-api of the main face of each photo.
//   npm install @vladmandic/face-api @tensorflow/tfjs @tensorflow/tfjs-backend-wasm sharp   (beside this file)
//   uncnn-daemon evaluate people/ --distractors strangers/ --judge-command "node faceapi-judge.js"
// Detector, points and network are its own; it compares Euclidean distances, and each row says so.
const fs = require('fs');
const path = require('path');
const sharp = require('sharp');
const tf = require('@tensorflow/tfjs');
const { setWasmPaths } = require('@tensorflow/tfjs-backend-wasm');

const modules = path.join(__dirname, 'node_modules');
const faceapi = require(path.join(modules, '@vladmandic/face-api/dist/face-api.node-wasm.js'));
const LARGEST = 1280; // pixels of the longer side, as web pages scale photos down

async function main([output, ...folders]) {
  setWasmPaths(path.join(modules, '@tensorflow/tfjs-backend-wasm/dist') + path.sep);
  await tf.setBackend('wasm');
  const { ssdMobilenetv1, faceLandmark68Net, faceRecognitionNet } = faceapi.nets;
  for (const network of [ssdMobilenetv1, faceLandmark68Net, faceRecognitionNet]) {
    await network.loadFromDisk(path.join(modules, '@vladmandic/face-api/model'));
  }
  const detector = new faceapi.SsdMobilenetv1Options({ minConfidence: 0.3 });
  const rows = {};
  for (const file of folders.flatMap((folder) => fs.readdirSync(folder).sort().map((name) => path.join(folder, name)))) {
    const scaled = sharp(file).rotate().removeAlpha().toColourspace('srgb')
      .resize(LARGEST, LARGEST, { fit: 'inside', withoutEnlargement: true });
    const { data, info } = await scaled.raw().toBuffer({ resolveWithObject: true });
    const photo = tf.tensor3d(new Uint8Array(data), [info.height, info.width, info.channels], 'int32');
    const faces = await faceapi.detectAllFaces(photo, detector).withFaceLandmarks().withFaceDescriptors();
    tf.dispose(photo);
    const far = ({ detection: { box: { x, y, width, height } } }) =>
      (x + width / 2 - info.width / 2) ** 2 + (y + height / 2 - info.height / 2) ** 2;
    const [main] = faces.sort((one, other) => far(one) - far(other));
    rows[file] = main ? { 'face-api': Array.from(main.descriptor), metric: 'euclidean' } : {};
  }
  fs.writeFileSync(output, JSON.stringify(rows));
}

main(process.argv.slice(2)).then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
