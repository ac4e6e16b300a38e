/**
 * Compares two builds of the training addon, kernel by kernel and instruction set by instruction set, in one process and in turns:
 *
 *     node tools/compare-addons.mjs build/bnn_native.node release/packages/linux-x64/bnn_native.node [--rounds=30] [--isa=avx2]
 *
 * Each line: instruction set, kernel, the largest difference of the results (0 when all bits are the same), and how fast the second one is
 * beside the first (the ratio of the best times, one thread each). Data are the same in every run.
 */

import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';

const [first, second] = process.argv.slice(2).filter((text) => !text.startsWith('--'));
const option = (name) => process.argv.find((text) => text.startsWith(`--${name}=`))?.slice(name.length + 3);
const rounds = Number(option('rounds') ?? 30);
const load = createRequire(import.meta.url);
const addons = [first, second].map((path) => load(resolve(path)));

/** Floats from −1 to 1, the same ones for the same seed. */
function noise(count, seed) {
  const values = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return values;
}

const signs = (values) => values.map((x) => (x >= 0 ? 1 : -1));

/** A square convolution with padding, as `shape` of the addon: one image size, kernel, channels on both sides. */
function conv(batch, size, channels, kernel, stride, out = channels, groups = 1) {
  const outSize = Math.ceil(size / stride);
  const pad = Math.max(0, Math.floor(((outSize - 1) * stride + kernel - size) / 2));
  const shape = [
    batch,
    size,
    size,
    channels,
    kernel,
    kernel,
    out,
    outSize,
    outSize,
    stride,
    stride,
    1,
    1,
    pad,
    pad,
    groups,
    0,
  ];
  return {
    shape: Int32Array.from(shape),
    x: noise(batch * size * size * channels, 1),
    dy: noise(batch * outSize * outSize * out, 2),
    filter: noise((kernel * kernel * channels * out) / groups, 3),
  };
}

/** A kernel that writes `out`, as a function that returns it. */
const into = (out, kernel) => (addon) => {
  kernel(addon);
  return out;
};

/** Kernels that share one convolution; each entry returns what the kernel wrote. */
function convolutionCases(name, c) {
  const { x, dy, filter, shape } = c;
  const [y, dx, df] = [dy, x, filter].map((like) => new Float32Array(like.length));
  const bits = signs(filter);
  const cases = {
    [`${name}, forward`]: into(y, (a) => a.conv2d(x, filter, y, shape)),
    [`${name}, input gradient`]: into(dx, (a) => a.conv2dInputGrad(dy, filter, dx, shape)),
    [`${name}, filter gradient`]: into(df, (a) => a.conv2dFilterGrad(x, dy, df, shape)),
  };
  if (shape[15] > 1) return cases;
  return {
    ...cases,
    [`${name}, of signs`]: into(y, (a) => a.binaryConv2d(x, bits, y, shape)),
    [`${name}, of signs, input gradient`]: into(dx, (a) =>
      a.binaryConv2dInputGrad(dy, bits, x, dx, shape, null, 3, 1, 1),
    ),
    [`${name}, of signs, filter gradient`]: into(df, (a) => a.binaryConv2dFilterGrad(x, dy, df, shape)),
  };
}

function otherCases() {
  const [rows, channels] = [128 * 16 * 16, 32];
  const count = rows * channels;
  const [x, z, out] = [noise(count, 4), noise(count, 5), new Float32Array(count)];
  const [scale, gamma, beta] = [6, 7, 8].map((seed) => noise(channels, seed));
  const [mean, variance, dg, db] = Array.from({ length: 4 }, () => new Float32Array(channels));
  const pool = Int32Array.from([32, 32, 32, 32, 16, 16, 2, 2, 2, 2, 0, 0]);
  const [pooled, pooledGrad] = [new Float32Array(count / 4), noise(count / 4, 9)];
  const image = x.subarray(0, 32 * 32 * 32 * 32);
  const imageOut = new Float32Array(image.length);
  const [p, m, v] = [1, 2, 3].map((seed) => noise(1 << 20, seed).map(Math.abs));
  const news = [p, m, v].map((like) => new Float32Array(like.length));
  const adam = (a) => a.adam(p, m, z.subarray(0, p.length), v, ...news, 1e-3, 0.9, 0.999, 1e-8, 0, 3, false);
  const matrix = [noise(256 * 300, 1), noise(300 * 200, 2), new Float32Array(256 * 200)];
  return {
    'batch norm': into(out, (a) => a.batchNormTrain(x, scale, gamma, beta, out, mean, variance, 1e-5, true, z)),
    'batch norm, gradient': into(out, (a) =>
      a.batchNormGrad(x, z, scale, gamma, mean, variance, out, dg, db, null, 1e-5, false),
    ),
    add: into(out, (a) => a.binary(0, x, 0, z, 0, out, rows, channels)),
    'multiply by a row': into(out, (a) => a.binary(2, x, 0, gamma, 2, out, rows, channels)),
    relu: into(out, (a) => a.unary(0, x, 0, out)),
    'slope of ReSTE': into(out, (a) => a.signGradReste(x, z, 3, 1.5, 0.1, out)),
    'slope of DSQ': into(out, (a) => a.signGradDsq(x, z, 0.2, out)),
    'slope of DSQ, its sum': (a) => Float64Array.of(a.signGradDsq(x, z, 0.2, out)),
    adam: into(news[0], adam),
    'adam, first moment': into(news[1], adam),
    'adam, second moment': into(news[2], adam),
    sgd: into(news[0], (a) => a.sgdMomentum(p, m, v, news[0], news[1], 0.1, 0.9, 1e-4)),
    'max pooling': into(pooled, (a) => a.maxPool(image, pooled, pool)),
    'average pooling, gradient': into(imageOut, (a) => a.avgPoolGrad(pooledGrad, imageOut, pool)),
    'matrix product': into(matrix[2], (a) => a.matmul(...matrix, Int32Array.of(1, 1, 256, 200, 300, 0, 0))),
    sum: (a) => Float64Array.of(a.totalSum(x)),
  };
}

function largestDifference(a, b) {
  let most = 0;
  for (let i = 0; i < a.length; i++)
    if (!Object.is(a[i], b[i])) most = Math.max(most, Math.abs(a[i] - b[i]) || Number.MIN_VALUE);
  return most;
}

function time(addon, kernel) {
  const start = performance.now();
  kernel(addon);
  return performance.now() - start;
}

const cases = {
  ...convolutionCases('3x3 16 @32', conv(16, 32, 16, 3, 1)),
  ...convolutionCases('3x3 64 @8', conv(32, 8, 64, 3, 1)),
  ...convolutionCases('3x3 stride 2 32 to 64 @16', conv(32, 16, 32, 3, 2, 64)),
  ...convolutionCases('3x3 256 @8', conv(4, 8, 256, 3, 1)),
  ...convolutionCases('7x7 stride 2 3 to 64 @64', conv(2, 64, 3, 7, 2, 64)),
  ...convolutionCases('1x1 128 @14', conv(8, 14, 128, 1, 1)),
  ...convolutionCases('depthwise 96 @32', conv(4, 32, 96, 3, 1, 96, 96)),
  ...convolutionCases('8 groups of 16 @16', conv(4, 16, 128, 3, 1, 128, 8)),
  ...otherCases(),
};

for (const addon of addons) addon.setThreads(1);
const isas = option('isa')?.split(',') ?? addons[0].isas().split(',');
const ratios = [];
let differing = 0;
for (const isa of isas) {
  for (const addon of addons) addon.setIsa(isa);
  for (const [name, kernel] of Object.entries(cases)) {
    const [a, b] = addons.map((addon) => kernel(addon).slice());
    const difference = largestDifference(a, b);
    if (difference > 0) differing++;
    const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let round = 0; round < rounds; round++) {
      for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) best[i] = Math.min(best[i], time(addons[i], kernel));
    }
    const ratio = best[0] / best[1];
    ratios.push(ratio);
    const figure = rounds === 0 ? '' : `  ${ratio.toFixed(3)}  ${best.map((x) => x.toFixed(3)).join(' ')} ms`;
    console.log(
      `${isa.padEnd(16)} ${name.padEnd(45)} ${difference === 0 ? '0' : difference.toExponential(1)}${figure}`,
    );
  }
}
if (rounds > 0) {
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  console.log(`geometric mean of the speeds: ${mean.toFixed(3)}`);
}
console.log(`${differing} of ${ratios.length} results differ`);
