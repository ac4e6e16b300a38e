// Names what is on pictures with stock onnxruntime in Node (npm install onnxruntime-node sharp):
//   node docs/deploy/node.mjs MODEL.onnx PICTURE.jpg …
// MODEL.json, which bnn-export writes beside MODEL.onnx, says how pictures are prepared.
import { readFile } from 'node:fs/promises';
import * as ort from 'onnxruntime-node';
import sharp from 'sharp';
import { prepare, rank } from './prepare.mjs';

const [model, ...pictures] = process.argv.slice(2);
if (pictures.length === 0) {
  console.error('usage: node node.mjs MODEL.onnx PICTURE.jpg …');
  process.exit(2);
}
const description = JSON.parse(await readFile(model.replace(/\.onnx$/, '.json'), 'utf8'));
const session = await ort.InferenceSession.create(model);

for (const picture of pictures) {
  // Upright, and the pixels as they are stored: without colour profile and transparency.
  const { data, info } = await sharp(picture, { ignoreIcc: true })
    .autoOrient()
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { data: x, dims } = prepare({ data, width: info.width, height: info.height }, description);
  const results = await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', x, dims) });
  console.log(picture);
  for (const { name, probability } of rank(results[session.outputNames[0]].data, description).slice(0, 5)) {
    console.log(`${(100 * probability).toFixed(1).padStart(5)} %  ${name}`);
  }
}
