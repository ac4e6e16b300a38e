/**
 * The residual networks of Wu et al. (ICCV 2023, arXiv:2308.06689) and their full-precision twins.
 *
 *     normal block    h = BN1(ReLU(conv1(x)));           y = BN2(ReLU(conv2(h))) + shortcut(x)
 *     Bi-Real block   h = BN1(ReLU(conv1(x))) + shortcut(x);   y = BN2(ReLU(conv2(h))) + h
 *     ReAct block     h = RPReLU1(BN1(conv1(x + shift1)) + shortcut(x));   y = RPReLU2(BN2(conv2(h + shift2)) + h)
 *     hardtanh block  h = clip(BN1(conv1(x)) + shortcut(x));   y = clip(BN2(conv2(h)) + h), clip to ±1
 *
 * In the first two nothing follows the addition, so the next sign sees a signed stream. Stem, shortcut convolutions, batch normalizations and
 * the classifier are float. Bi-Real: Liu et al. 2018, arXiv:1808.00278. ReAct: RSign (the shift before the sign) and RPReLU of Liu et
 * al. 2020, arXiv:2003.03488. Hardtanh: the ResNet-20 of ReCU (arXiv:2103.12369) and BiPer (arXiv:2404.01278).
 */

import type { Value } from '../graph/graph.ts';
import type { Model } from '../graph/model.ts';
import { fanInUniform, heNormal, type Initializer } from './initialize.ts';
import * as layers from './layers.ts';
import { createNetwork, type Network, type NetworkOptions } from './network.ts';

export interface ResnetDesign {
  /** Channels and number of blocks per stage; every stage but the first halves the image. */
  readonly stages: readonly { readonly channels: number; readonly blocks: number }[];
  /** One 3×3 convolution, one with stride 2, or a 7×7 one with stride 2 and a max-pool for large images. */
  readonly stem: 'small' | 'halving' | 'large';
  readonly block: 'normal' | 'bi-real' | 'react' | 'hardtanh';
  /**
   * Where the shape changes: zero channels, on every second pixel or on averages of pixels, or a float 1×1 convolution and batch
   * normalization of this name, which skips pixels or averages them first.
   */
  readonly shortcut: 'pad' | 'average-pad' | { readonly name: string; readonly average: boolean };
  /** What the classifier sees: averages over the whole image, or over windows of 2×2 pixels. */
  readonly head: 'global' | 'windows';
  readonly classifier: string;
  readonly initialize: Initializer;
  readonly initializeClassifier: Initializer;
}

export const RESNET20: ResnetDesign = {
  stages: [16, 32, 64].map((channels) => ({ channels, blocks: 3 })),
  stem: 'small',
  block: 'normal',
  shortcut: 'pad',
  head: 'global',
  classifier: 'linear',
  initialize: heNormal,
  initializeClassifier: heNormal,
};

export const RESNET20_BI_REAL: ResnetDesign = { ...RESNET20, block: 'bi-real' };

export const RESNET20_REACT: ResnetDesign = { ...RESNET20, block: 'react' };

export const RESNET20_HARDTANH: ResnetDesign = { ...RESNET20, block: 'hardtanh', shortcut: 'average-pad' };

/**
 * Made to learn much in little time on a processor: half the resolution from the stem on, few and wide layers, and float where that
 * is cheap, in averaged 1×1 shortcuts as in Bethge et al., "BinaryDenseNet", arXiv:1906.08637.
 */
export const RESNET8_BI_REAL: ResnetDesign = {
  ...RESNET20_BI_REAL,
  stages: [48, 96, 192].map((channels) => ({ channels, blocks: 1 })),
  stem: 'halving',
  shortcut: { name: 'shortcut', average: true },
  head: 'windows',
};

/** The same with a third more channels, for trainings of an hour. */
export const RESNET8_BI_REAL_WIDE: ResnetDesign = {
  ...RESNET8_BI_REAL,
  stages: [64, 128, 256].map((channels) => ({ channels, blocks: 1 })),
};

export const RESNET18_CIFAR: ResnetDesign = {
  stages: [64, 128, 256, 512].map((channels) => ({ channels, blocks: 2 })),
  stem: 'small',
  block: 'normal',
  shortcut: { name: 'shortcut', average: false },
  head: 'global',
  classifier: 'linear',
  initialize: fanInUniform,
  initializeClassifier: fanInUniform,
};

/** A quarter of the multiply-adds: half the resolution from the stem on, a shortcut around every convolution, averaged where it shrinks. */
export const RESNET18_HALF: ResnetDesign = {
  ...RESNET18_CIFAR,
  stem: 'halving',
  block: 'bi-real',
  // Another name than that of ResNet-18, whose checkpoints this is not for.
  shortcut: { name: 'downsample', average: true },
};

export const RESNET18: ResnetDesign = {
  ...RESNET18_CIFAR,
  stem: 'large',
  block: 'bi-real',
  shortcut: { name: 'downsample', average: false },
  classifier: 'fc',
  initialize: heNormal,
};

const RESNET34_BLOCKS = [3, 4, 6, 3];
export const RESNET34: ResnetDesign = {
  ...RESNET18,
  stages: RESNET18.stages.map(({ channels }, i) => ({ channels, blocks: RESNET34_BLOCKS[i] ?? 0 })),
};

/** f32[N, channels, size, size] -> f32[N, classes]. */
export function buildResnet(name: string, design: ResnetDesign, options: NetworkOptions): Model {
  const net = createNetwork(name, options);
  let from = design.stages[0]?.channels ?? 0;
  let x = stem(net, design, from);
  for (const [stage, { channels, blocks }] of design.stages.entries()) {
    for (let i = 0; i < blocks; i++) {
      const stride = stage > 0 && i === 0 ? 2 : 1;
      x = block(net, design, x, `layer${stage + 1}.${i}`, { from, to: channels, stride });
      from = channels;
    }
  }
  const { features, count } = head(net, design, x, from);
  const normalized = layers.batchNorm(net, features, 'bn2', count);
  layers.classifier(net, normalized, design.classifier, count, { initialize: design.initializeClassifier });
  return net.builder.model;
}

function stem(net: Network, { stem: kind, block: style, initialize }: ResnetDesign, to: number): Value {
  const window = { kernel: kind === 'large' ? 7 : 3, stride: kind === 'small' ? 1 : 2 };
  const sum = layers.conv(net, net.input, 'conv1', { from: net.channels, to, ...window, initialize });
  if (style === 'hardtanh') return layers.hardtanh(net, layers.batchNorm(net, sum, 'bn1', to), 'hardtanh');
  const x = layers.batchNorm(net, layers.relu(net, sum, 'relu'), 'bn1', to);
  return kind === 'large' ? layers.pool(net, 'MaxPool', x, 'maxpool', { kernel: 3, stride: 2, pad: 1 }) : x;
}

/** f32[N, channels, H, W] -> f32[N, count]. */
function head(net: Network, design: ResnetDesign, x: Value, channels: number): { features: Value; count: number } {
  if (design.head === 'global') return { features: layers.globalAverage(net, x), count: channels };
  const halvings = design.stages.length - 1 + (design.stem === 'small' ? 0 : 1);
  const side = Math.ceil(net.imageSize / 2 ** (halvings + 1));
  return { features: layers.flatten(net, layers.averagePairs(net, x, 'avgpool')), count: channels * side * side };
}

interface BlockSize {
  readonly from: number;
  readonly to: number;
  readonly stride: number;
}

function block(net: Network, design: ResnetDesign, x: Value, name: string, size: BlockSize): Value {
  const { to } = size;
  if (design.block === 'react') {
    const h = reactLayer(net, design, x, shortcut(net, design, x, name, size), name, 1, size);
    return reactLayer(net, design, h, h, name, 2, { from: to, to, stride: 1 });
  }
  if (design.block === 'hardtanh') {
    const h = hardtanhLayer(net, design, x, shortcut(net, design, x, name, size), name, 1, size);
    return hardtanhLayer(net, design, h, h, name, 2, { from: to, to, stride: 1 });
  }
  const first = layer(net, design, x, name, 1, size);
  const skip = shortcut(net, design, x, name, size);
  const h = design.block === 'bi-real' ? layers.add(net, first, skip, `${name}.add1`) : first;
  const second = layer(net, design, h, name, 2, { from: to, to, stride: 1 });
  return layers.add(net, second, design.block === 'bi-real' ? h : skip, `${name}.add2`);
}

/** BN(ReLU(conv(x))). */
function layer(
  net: Network,
  { initialize }: ResnetDesign,
  x: Value,
  name: string,
  index: 1 | 2,
  size: BlockSize,
): Value {
  const sum = layers.binaryConv(net, x, `${name}.conv${index}`, { ...size, kernel: 3, initialize });
  return layers.batchNorm(net, layers.relu(net, sum, `${name}.relu${index}`), `${name}.bn${index}`, size.to);
}

/** clip(BN(conv(x)) + skip). */
function hardtanhLayer(
  net: Network,
  { initialize }: ResnetDesign,
  x: Value,
  skip: Value,
  name: string,
  index: 1 | 2,
  size: BlockSize,
): Value {
  const sum = layers.binaryConv(net, x, `${name}.conv${index}`, { ...size, kernel: 3, initialize });
  const normalized = layers.batchNorm(net, sum, `${name}.bn${index}`, size.to);
  return layers.hardtanh(net, layers.add(net, normalized, skip, `${name}.add${index}`), `${name}.hardtanh${index}`);
}

/** RPReLU(BN(conv(x + shift)) + skip). */
function reactLayer(
  net: Network,
  { initialize }: ResnetDesign,
  x: Value,
  skip: Value,
  name: string,
  index: 1 | 2,
  size: BlockSize,
): Value {
  const moved = layers.channelShift(net, x, `${name}.shift${index}`, size.from);
  const sum = layers.binaryConv(net, moved, `${name}.conv${index}`, { ...size, kernel: 3, initialize });
  const normalized = layers.batchNorm(net, sum, `${name}.bn${index}`, size.to);
  return layers.rPrelu(
    net,
    layers.add(net, normalized, skip, `${name}.add${index}`),
    `${name}.rprelu${index}`,
    size.to,
  );
}

function shortcut(net: Network, design: ResnetDesign, x: Value, name: string, { from, to, stride }: BlockSize): Value {
  if (from === to && stride === 1) return x;
  if (design.shortcut === 'pad') return layers.padShortcut(net, x, `${name}.shortcut`, from, to, stride);
  if (design.shortcut === 'average-pad') {
    const averaged = stride > 1 ? layers.averagePairs(net, x, `${name}.shortcut.pool`) : x;
    return layers.padChannels(net, averaged, `${name}.shortcut`, from, to);
  }
  const prefix = `${name}.${design.shortcut.name}`;
  const average = design.shortcut.average && stride > 1;
  const pixels = average ? layers.averagePairs(net, x, `${prefix}.pool`) : x;
  const window = { kernel: 1, stride: average ? 1 : stride, initialize: design.initialize };
  return layers.batchNorm(net, layers.conv(net, pixels, `${prefix}.0`, { from, to, ...window }), `${prefix}.1`, to);
}
