/**
 * Compares our training with a recorded run of an independent implementation:
 *
 *     npx tsx tools/check-golden.ts FILE.safetensors [--data DIR] [--model NAME] [--backend NAME] [--threads N] [--steps N] [--json]
 *         [--seeds N] [--gradients FILE] [--precision float32|bf16|bf16-all]
 *
 * The file holds `init.*` (a state_dict), `step0.logits`, `step0.grad.*` and `final.*`; its metadata says which network, data,
 * optimizer and power parameter, and lists the loss of each step. Prints the relative errors (Euclidean norm) of the logits, each
 * loss, each gradient and the final parameters. Exit code 1 when the first step is off: logits or the loss of step 1 by more than
 * 1e-5, a gradient by more than 1e-4 (gradients of norm below 1e-6 are rounding and not compared). Later steps may drift: where a
 * sum is almost 0, rounding decides a sign.
 *
 * Rounding can decide a sign in the first step, too. With float activations the sum before a ReLU is sometimes smaller than the
 * rounding error of either implementation; whether its gradient passes is then a coin toss that moves all gradients below by about
 * 1e-3. When the comparison fails, it is repeated with the biases of all BatchNormalizations moved by at most 4e-7, the size of the
 * rounding errors in their outputs, which no float32 implementation can be held to, with up to 32 seeds (--seeds); the first that agrees
 * is reported, next to the plain result. Only signs within rounding error of 0 can change by that.
 *
 * --gradients writes those of the first step, nothing moved, to compare two implementations that are on the same side of such a sum.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { precisionOf } from '../src/backends/precision.ts';
import { selectBackend } from '../src/backends/select-backend.ts';
import { decodeSafetensors, encodeSafetensors } from '../src/core/formats/safetensors.ts';
import { Rng } from '../src/core/numbers/rng.ts';
import { GRADIENT_TOLERANCE, relativeError } from '../src/core/numbers/tolerance.ts';
import { rowNamed } from '../src/core/row-named.ts';
import { bytesOf, isDtype, type Tensor } from '../src/core/tensors/tensor.ts';
import { createReste } from '../src/estimators/reste.ts';
import { softmaxCrossEntropy } from '../src/training/learning/loss.ts';
import { OPTIMIZERS, Optimizer, type OptimizerRow } from '../src/training/optimizers/optimizer.ts';
import { download } from '../src/training/program/parameters.ts';
import { Program } from '../src/training/program/program.ts';
import { buildModel, ZOO } from '../src/zoo/zoo.ts';

const STEP_TOLERANCE = 1e-5;
const SMALLEST_NORM = 1e-6;
const ROUNDING = 4e-7;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: 'string', default: '../shared/data/cifar-10-batches-bin' },
    model: { type: 'string' },
    backend: { type: 'string', default: 'auto' },
    threads: { type: 'string', default: '2' },
    steps: { type: 'string' },
    json: { type: 'boolean', default: false },
    seeds: { type: 'string', default: '32' },
    gradients: { type: 'string' },
    precision: { type: 'string', default: 'float32' },
  },
});
const [path] = positionals;
if (path === undefined) {
  console.error(
    'usage: check-golden.ts FILE.safetensors [--data DIR] [--model NAME] [--backend NAME] [--threads N] [--steps N] [--json] ' +
      '[--seeds N] [--gradients FILE] [--precision float32|bf16|bf16-all]',
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

/**
 * `resnet20_1w1a` → `resnet20`. The reference implementation makes a weight-only network by a flag, which its metadata does not
 * mention; the file's name does.
 */
function zooNameOf(): string {
  const stem = field('model')
    .replace(/_1w1a$/, '')
    .replaceAll('_', '-');
  return /1w32a/.test(basename(String(path))) && !stem.endsWith('-1w32a') ? `${stem}-1w32a` : stem;
}

const zooName = options.model ?? zooNameOf();
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
const reste = createReste(Number(field('o')));
const settings = { weightEstimator: reste, activationEstimator: reste };

/** The network with the recorded initial state. */
function createProgram(): Program {
  const model = buildModel(zooName, { seed: 1 });
  const { graph } = model;
  for (const value of [...graph.constants()]) {
    const initial = tensors.get(`init.${value.name}`);
    if (initial !== undefined) graph.setConstant(value, initial);
    else if (value.uses.some(({ node }) => node.is('BatchNormalization') || node.is('Gemm'))) {
      throw new Error(`${path}: no init.${value.name} for ${zooName}`);
    }
  }
  const { explicitPadding, keepsAll } = backend.capabilities;
  const precision = precisionOf(options.precision as 'float32', backend);
  return new Program(model, { explicitPadding, keepsAll, precision });
}

const { input: size } = ZOO.get(zooName) ?? { input: { channels: 3, height: 32, width: 32 } };
const records = await readFile(join(options.data, file));

/** Pictures of one step, NHWC and normalized, with their labels, from records of one label byte and channel-major pixels. */
function loadBatch(step: number): { pixels: Float32Array; labels: Int32Array } {
  const { channels, height, width } = size;
  const plane = height * width;
  const pixels = new Float32Array(batch * plane * channels);
  const labels = new Int32Array(batch);
  for (let i = 0; i < batch; i++) {
    const at = (step * batch + i) * (1 + plane * channels);
    labels[i] = records[at] ?? 0;
    for (let p = 0; p < plane; p++) {
      for (let c = 0; c < channels; c++) {
        const pixel = (records[at + 1 + c * plane + p] ?? 0) / 255;
        pixels[(i * plane + p) * channels + c] = (pixel - (mean[c] ?? 0)) / (std[c] ?? 1);
      }
    }
  }
  return { pixels, labels };
}

function reference(name: string): Float32Array {
  const t: Tensor | undefined = tensors.get(name);
  if (t === undefined || !isDtype(t, 'float32')) throw new Error(`${path}: no float32 tensor "${name}"`);
  return new Float32Array(bytesOf(t).slice().buffer);
}

/** Moves the bias of every BatchNormalization (whose outputs are of order 1) by what rounding may have done to it. */
async function moveByRounding(program: Program, seed: number): Promise<void> {
  const rng = new Rng(seed);
  for (const { name, role } of program.parameters.values()) {
    if (role !== 'norm' || !name.endsWith('bias')) continue;
    const bias = program.parameter(name);
    const moved = Array.from(await bias.data(), (value) => value + (rng.uniform() - 0.5) * 2 * ROUNDING);
    program.setParameter(name, tf.tensor(moved, bias.shape));
  }
}

interface Comparison {
  logits: number;
  loss1: number;
  worstGradient: number;
  worstName: string;
}

async function compare(roundingSeed: number | null, log: (line: string) => void): Promise<Comparison> {
  // What is judged needs two steps; the rest is for the reader of the plain comparison.
  const last = roundingSeed === null ? Math.min(steps, Number(options.steps ?? steps)) : Math.min(2, steps);
  const program = createProgram();
  if (roundingSeed !== null) await moveByRounding(program, roundingSeed);
  const optimizer = new Optimizer(program, {
    optimizer: rowNamed<OptimizerRow>(OPTIMIZERS, 'sgd'),
    values: { momentum: momentum ?? 0 },
    weightDecay: weightDecay ?? 0,
    weightDecayOn: 'all',
    clampWeights: 0,
  });
  const result: Comparison = { logits: Number.NaN, loss1: Number.NaN, worstGradient: 0, worstName: '' };
  for (let step = 0; step < last; step++) {
    const { pixels, labels: classes } = loadBatch(step);
    const x = tf.tensor4d(pixels, [batch, size.height, size.width, size.channels]);
    const labels = tf.tensor1d(classes, 'int32');
    // Read afterwards and asynchronously: a GPU cannot be waited for in between.
    let kept: tf.Tensor | undefined;
    const { loss, gradients } = program.differentiate(x, settings, (logits) => {
      if (step === 0) kept = tf.clone(logits);
      const entropy = softmaxCrossEntropy(logits, labels, 0);
      return { loss: entropy, dlogits: entropy.dlogits };
    });
    const expected = losses[step] ?? Number.NaN;
    if (kept !== undefined)
      result.logits = relativeError((await kept.data()) as Float32Array, reference('step0.logits'));
    kept?.dispose();
    const error = Math.abs(((await loss.loss.data())[0] ?? Number.NaN) - expected) / Math.abs(expected);
    if (step === 0) {
      log(`step 0 logits                                   ${result.logits.toExponential(2)}`);
      const found = await compareGradients(program, gradients, result, log);
      if (roundingSeed === null && options.gradients !== undefined) {
        await writeFile(options.gradients, encodeSafetensors(found));
      }
    }
    if (step === 1) result.loss1 = error;
    log(`step ${step} loss                                     ${error.toExponential(2)}`);
    optimizer.apply(gradients, lr ?? 0);
    tf.dispose([x, labels, loss.loss, loss.correct]);
  }
  for (const info of program.parameters.values()) {
    if (!tensors.has(`final.${info.name}`)) continue;
    const final = await download(program.parameter(info.name), info);
    log(
      `  final ${info.name.padEnd(41)} ${relativeError(final.data, reference(`final.${info.name}`)).toExponential(2)}`,
    );
  }
  optimizer.dispose();
  program.dispose();
  return result;
}

async function compareGradients(
  program: Program,
  gradients: ReadonlyMap<string, tf.Tensor>,
  result: Comparison,
  log: (line: string) => void,
): Promise<Map<string, Tensor>> {
  const found = new Map<string, Tensor>();
  for (const [name, gradient] of gradients) {
    const info = program.parameters.get(name);
    if (info === undefined) continue;
    const downloaded = await download(gradient, info);
    found.set(name, downloaded);
    const wanted = reference(`step0.grad.${name}`);
    const norm = Math.sqrt(wanted.reduce((sum, g) => sum + g * g, 0));
    const error = relativeError(downloaded.data, wanted);
    const compared = norm >= SMALLEST_NORM;
    const remark = compared ? '' : `  not compared, norm ${norm.toExponential(1)}`;
    log(`  gradient ${name.padEnd(38)} ${error.toExponential(2)}${remark}`);
    if (compared && !(error <= result.worstGradient)) {
      result.worstGradient = error;
      result.worstName = name;
    }
  }
  return found;
}

function agrees({ logits, loss1, worstGradient }: Comparison): boolean {
  return logits <= STEP_TOLERANCE && loss1 <= STEP_TOLERANCE && worstGradient <= GRADIENT_TOLERANCE;
}

function describe({ logits, loss1, worstGradient, worstName }: Comparison): string {
  return (
    `logits ${logits.toExponential(2)}, worst gradient ${worstGradient.toExponential(2)} (${worstName}), ` +
    `step-1 loss ${loss1.toExponential(2)}`
  );
}

const log = (line: string) => {
  if (!options.json) console.log(line);
};
log(`${zooName} on ${backend.description}: ${count} records of ${file}, ${steps} steps of ${batch}`);
const plain = await compare(null, log);
log(describe(plain));
let agreeing = agrees(plain) ? plain : null;
let roundingSeed: number | null = null;
for (let seed = 1; seed <= Number(options.seeds) && agreeing === null; seed++) {
  const moved = await compare(seed, () => {});
  log(`biases moved within rounding, seed ${seed}: ${describe(moved)}`);
  if (!agrees(moved)) continue;
  agreeing = moved;
  roundingSeed = seed;
}
if (options.json) console.log(JSON.stringify({ ...(agreeing ?? plain), roundingSeed, plain }));
else console.log(agreeing === null ? 'differs' : roundingSeed === null ? 'agrees' : 'agrees up to rounding');
process.exitCode = agreeing === null ? 1 : 0;
