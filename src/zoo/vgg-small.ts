/**
 * VGG-small of the binary literature: six 3×3 convolutions of which the first is float, each BN(ReLU(conv)), max-pool after every
 * second, and a float classifier on the flattened features. Source: Wu et al., ICCV 2023, arXiv:2308.06689.
 */

import type { Model } from '../graph/model.ts';
import { fanOutNormal, normal } from './initialize.ts';
import * as layers from './layers.ts';
import { createNetwork, type NetworkOptions } from './network.ts';

const WIDTHS = [128, 128, 256, 256, 512, 512];

/** f32[N, channels, size, size] -> f32[N, classes]; size at least 8. */
export function buildVggSmall(name: string, options: NetworkOptions): Model {
  const net = createNetwork(name, options);
  let x = net.input;
  let from = options.channels;
  let size = options.imageSize;
  for (const [i, to] of WIDTHS.entries()) {
    const convolution = i === 0 ? layers.conv : layers.binaryConv;
    const sum = convolution(net, x, `conv${i}`, { from, to, kernel: 3, initialize: fanOutNormal });
    x = layers.batchNorm(net, layers.relu(net, sum, `relu${i}`), `bn${i}`, to);
    if (i % 2 === 1) {
      x = layers.pool(net, 'MaxPool', x, `maxpool${i}`, { kernel: 2, stride: 2 });
      size = Math.floor(size / 2);
    }
    from = to;
  }
  layers.classifier(net, layers.flatten(net, x), 'fc', from * size * size, {
    initialize: (seed, tensor, shape) => normal(seed, tensor, shape, 0.01),
    zeroBias: true,
  });
  return net.builder.model;
}
