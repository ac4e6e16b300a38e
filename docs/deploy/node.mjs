// Runs a packed model with stock onnxruntime in Node: node docs/deploy/node.mjs MODEL.onnx
import { readFile } from 'node:fs/promises';
import * as ort from 'onnxruntime-node';

const session = await ort.InferenceSession.create(await readFile(process.argv[2]));

// One picture, normalized as in training: (pixel / 255 - mean) / std; the file's metadata holds mean and std.
const [, channels, height, width] = session.inputMetadata[0].shape;
const size = channels * height * width;
const picture = Float32Array.from({ length: size }, (_, i) => -1 + (2 * i) / (size - 1));
const { logits } = await session.run({ input: new ort.Tensor('float32', picture, [1, channels, height, width]) });
console.log('class', logits.data.indexOf(Math.max(...logits.data)));
