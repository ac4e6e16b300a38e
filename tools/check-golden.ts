/**
 * Compares our training with a recorded run of an independent implementation:
 *
 *     npx tsx tools/check-golden.ts FILE.safetensors [--data DIR] [--model NAME] [--backend NAME] [--threads N] [--json]
 *
 * The file holds `init.*` (a state_dict), `step0.logits`, `step0.grad.*` and `final.*`; its metadata says which network, data,
 * optimizer and power parameter, and lists the loss of each step. Prints the relative errors (Euclidean norm) of the logits, each
 * loss, each gradient and the final parameters. Exit code 1 when the first step is off: logits or the loss of step 1 by more than
 * 1e-5, a gradient by more than 1e-4 (gradients of norm below 1e-6 are rounding and not compared). Later steps may drift: where a
 * sum is almost 0, rounding decides a sign.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { selectBackend } from '../src/backends/select-backend.ts';
import { decodeSafetensors } from '../src/core/safetensors.ts';
import { bytesOf, isDtype, type Tensor } from '../src/core/tensor.ts';
import { GRADIENT_TOLERANCE, relativeError } from '../src/core/tolerance.ts';
import { createReste } from '../src/estimators/reste.ts';
import { softmaxCrossEntropy } from '../src/training/loss.ts';
import { Optimizer } from '../src/training/optimizer.ts';
import { download } from '../src/training/parameters.ts';
import { Program } from '../src/training/program.ts';
import { buildModel, ZOO } from '../src/zoo/zoo.ts';

const STEP_TOLERANCE = 1e-5;
const SMALLEST_NORM = 1e-6;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: 'string', default: '../shared/data/cifar-10-batches-bin' },
    model: { type: 'string' },
    backend: { type: 'string', default: 'auto' },
    threads: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});
const [path] = positionals;
if (path === undefined) {
  console.error(
    'usage: check-golden.ts FILE.safetensors [--data DIR] [--model NAME] [--backend NAME] [--threads N] [--json]',
  );
  process.exit(2);
}

const { tensors, metadata } = decodeSafetensors(await readFile(path), path);

function field(name: string): string {
  const value = metadata[name];
  if (value === undefined) throw new Error(`${path}: the metadata lacks "${name}"`);
  return value;
}

function match(name: string, pattern: RegExp): string[] {
  const found = pattern.exec(field(name));
  if (found === null) throw new Error(`${path}: cannot read ${name} = "${field(name)}"`);
  return found.slice(1).map((part) => part ?? '');
}

function numbers(text: string): number[] {
  return text.trim().split(/\s+/).map(Number);
}

/** `resnet20_1w1a` → `resnet20`, `resnet20_bireal_1w32a` → `resnet20-bireal-1w32a`. */
const zooName =
  options.model ??
  field('model')
    .replace(/_1w1a$/, '')
    .replaceAll('_', '-');
const batch = Number(field('batch'));
const steps = Number(field('steps'));
const losses = JSON.parse(field('losses')) as number[];
const [lr, momentum, weightDecay] = match('optimizer', /lr (\S+) momentum (\S+) weight_decay (\S+)/).map(Number);
const [count = '', file = '', meanText = '', stdText = ''] = match(
  'data',
  /first (\d+) records of ([^\s,]+), normalized by mean ([\d. ]+) std ([\d. ]+)/,
);
const [mean, std] = [numbers(meanText), numbers(stdText)];

const backend = await selectBackend(options.backend as 'auto', { threads: Number(options.threads) });
const model = buildModel(zooName, { seed: 1 });
const { graph } = model;
for (const value of [...graph.constants()]) {
  const initial = tensors.get(`init.${value.name}`);
  if (initial !== undefined) graph.setConstant(value, initial);
  else if (value.uses.some(({ node }) => node.is('BatchNormalization') || node.is('Gemm'))) {
    throw new Error(`${path}: no init.${value.name} for ${zooName}`);
  }
}
const program = new Program(model, { explicitPadding: backend.name !== 'tensorflow' });
const optimizer = new Optimizer(program, {
  optimizer: 'sgd',
  momentum: momentum ?? 0,
  weightDecay: weightDecay ?? 0,
  weightDecayOn: 'all',
  clampWeights: 0,
});
const reste = createReste(Number(field('o')));
const settings = { weightEstimator: reste, activationEstimator: reste };

const { input: size } = ZOO.get(zooName) ?? { input: { channels: 3, height: 32, width: 32 } };
const records = await readFile(join(options.data, file));

/** Pictures of one step, NHWC and normalized, with their labels, from records of one label byte and channel-major pixels. */
function loadBatch(step: number): { x: tf.Tensor; labels: tf.Tensor } {
  const { channels, height, width } = size;
  const plane = height * width;
  const x = new Float32Array(batch * plane * channels);
  const labels = new Int32Array(batch);
  for (let i = 0; i < batch; i++) {
    const at = (step * batch + i) * (1 + plane * channels);
    labels[i] = records[at] ?? 0;
    for (let p = 0; p < plane; p++) {
      for (let c = 0; c < channels; c++) {
        const pixel = (records[at + 1 + c * plane + p] ?? 0) / 255;
        x[(i * plane + p) * channels + c] = (pixel - (mean[c] ?? 0)) / (std[c] ?? 1);
      }
    }
  }
  return { x: tf.tensor4d(x, [batch, height, width, channels]), labels: tf.tensor1d(labels, 'int32') };
}

function reference(name: string): Float32Array {
  const t: Tensor | undefined = tensors.get(name);
  if (t === undefined || !isDtype(t, 'float32')) throw new Error(`${path}: no float32 tensor "${name}"`);
  return new Float32Array(bytesOf(t).slice().buffer);
}

const report = { logits: Number.NaN, loss1: Number.NaN, worstGradient: 0, worstName: '' };
const log = (line: string) => {
  if (!options.json) console.log(line);
};
log(`${zooName} on ${backend.description}: ${count} records of ${file}, ${steps} steps of ${batch}`);
for (let step = 0; step < steps; step++) {
  const { x, labels } = loadBatch(step);
  const { loss, gradients } = program.differentiate(x, settings, (logits) => {
    if (step === 0) report.logits = relativeError(logits.dataSync(), reference('step0.logits'));
    const result = softmaxCrossEntropy(logits, labels, 0);
    return { loss: result, dlogits: result.dlogits };
  });
  const expected = losses[step] ?? Number.NaN;
  const error = Math.abs((loss.loss.dataSync()[0] ?? Number.NaN) - expected) / Math.abs(expected);
  if (step === 0) {
    log(`step 0 logits                                   ${report.logits.toExponential(2)}`);
    for (const [name, gradient] of gradients) {
      const info = program.parameters.get(name);
      if (info === undefined) continue;
      const wanted = reference(`step0.grad.${name}`);
      const norm = Math.sqrt(wanted.reduce((sum, g) => sum + g * g, 0));
      const gradientError = relativeError((await download(gradient, info)).data, wanted);
      const compared = norm >= SMALLEST_NORM;
      log(
        `  gradient ${name.padEnd(38)} ${gradientError.toExponential(2)}${compared ? '' : `  not compared, norm ${norm.toExponential(1)}`}`,
      );
      if (compared && !(gradientError <= report.worstGradient)) {
        report.worstGradient = gradientError;
        report.worstName = name;
      }
    }
  }
  if (step === 1) report.loss1 = error;
  log(`step ${step} loss                                     ${error.toExponential(2)}`);
  optimizer.apply(gradients, lr ?? 0);
  tf.dispose([x, labels, loss.loss, loss.correct]);
}
for (const info of program.parameters.values()) {
  const final = tensors.get(`final.${info.name}`);
  if (final === undefined) continue;
  const error = relativeError(
    (await download(program.parameter(info.name), info)).data,
    reference(`final.${info.name}`),
  );
  log(`  final ${info.name.padEnd(41)} ${error.toExponential(2)}`);
}
if (options.json) console.log(JSON.stringify(report));
else
  console.log(
    `worst gradient ${report.worstGradient.toExponential(2)} (${report.worstName}), step-1 loss ${report.loss1.toExponential(2)}`,
  );
const passes =
  report.logits <= STEP_TOLERANCE && report.loss1 <= STEP_TOLERANCE && report.worstGradient <= GRADIENT_TOLERANCE;
process.exitCode = passes ? 0 : 1;
