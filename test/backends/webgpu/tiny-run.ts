/** The smallest training that has all of one: translating shaders is most of what a software device does. */

import type { PlainSplit } from '../../../src/data/sets/plain-dataset.ts';
import type { Model } from '../../../src/graph/model.ts';
import type { Plugin } from '../../../src/training/plugins/plugin.ts';
import * as layers from '../../../src/zoo/layers.ts';
import { createNetwork, type NetworkOptions } from '../../../src/zoo/network.ts';
import { normal } from '../compare-kernels.ts';

export const SIDE = 9;
export const CHANNELS = 3;
/** Four batches of 2 in an epoch, and a picture that is left out. */
export const BATCH = 2;
const PICTURES = 9;

/** One layer of each kind. */
export function buildTiny(options: Omit<NetworkOptions, 'precision' | 'classes' | 'channels' | 'imageSize'>): Model {
  const sizes = { classes: 10, channels: CHANNELS, imageSize: SIDE, precision: '1w1a' } as const;
  const net = createNetwork('tiny', { ...sizes, ...options });
  const stem = layers.conv(net, net.input, 'conv1', { from: CHANNELS, to: 8, kernel: 3, stride: 2 });
  const x = layers.batchNorm(net, layers.relu(net, stem, 'relu1'), 'bn1', 8);
  const binary = layers.binaryConv(net, x, 'conv2', { from: 8, to: 8, kernel: 3 });
  const sum = layers.add(net, layers.batchNorm(net, layers.relu(net, binary, 'relu2'), 'bn2', 8), x, 'add2');
  layers.classifier(net, layers.flatten(net, sum), 'fc', 8 * Math.ceil(SIDE / 2) ** 2);
  return net.builder.model;
}

function noise(count: number): PlainSplit {
  return {
    images: Uint8Array.from(normal([count, SIDE, SIDE, CHANNELS]).values, (v) => 128 + 60 * v),
    labels: Array.from({ length: count }, (_, i) => i),
  };
}

const NETWORK = { describe: 'one binary layer', fields: {}, input: { channels: CHANNELS, height: SIDE, width: SIDE } };

/** Networks `tiny`, `tiny-learned` and `tiny-adabin`, by what the binary layer computes with, and the data set `noise`. */
export const TINY: Plugin = {
  name: 'tiny',
  networks: [
    { name: 'tiny', ...NETWORK, build: ({ seed }) => buildTiny({ seed }) },
    { name: 'tiny-learned', ...NETWORK, build: ({ seed }) => buildTiny({ seed, binaryValues: 'learned' }) },
    { name: 'tiny-adabin', ...NETWORK, build: ({ seed }) => buildTiny({ seed, binaryValues: 'adabin' }) },
  ],
  datasets: [
    {
      name: 'noise',
      fields: {},
      load: () => ({
        ...{ classes: [...'0123456789'], height: SIDE, width: SIDE, channels: CHANNELS },
        ...{ train: noise(PICTURES), test: noise(BATCH) },
      }),
    },
  ],
};
