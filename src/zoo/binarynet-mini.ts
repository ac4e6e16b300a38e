/**
 * A small network for 28×28 grey images that trains in seconds: a float 5×5 stem with stride 2, two binary 3×3 layers with a
 * shortcut around each (Bi-Real), a float classifier on 3×3 averaged positions. Most of its multiply-adds are binary; the stride of
 * the stem keeps the element-wise work, which dominates training on a CPU, small.
 *
 *     1×28×28 ─ conv1 5×5/2 ─ 32×14×14 ─ conv2 3×3/2 ─ 64×7×7 ─ conv3 3×3 ─ 64×7×7 ─ average 3×3/2 ─ 64×3×3 ─ fc
 */

import type { Model } from '../graph/model.ts';
import * as layers from './layers.ts';
import { createNetwork, type NetworkOptions } from './network.ts';

/** f32[N, channels, size, size] -> f32[N, classes]; size at least 9. */
export function buildBinarynetMini(name: string, options: NetworkOptions): Model {
  const net = createNetwork(name, options);
  const stem = layers.conv(net, net.input, 'conv1', { from: options.channels, to: 32, kernel: 5, stride: 2 });
  let x = layers.batchNorm(net, layers.relu(net, stem, 'relu1'), 'bn1', 32);

  const down = layers.binaryConv(net, x, 'conv2', { from: 32, to: 64, kernel: 3, stride: 2 });
  const normalized = layers.batchNorm(net, layers.relu(net, down, 'relu2'), 'bn2', 64);
  x = layers.add(net, normalized, layers.padShortcut(net, x, 'shortcut2', 32, 64, 2), 'add2');

  const same = layers.binaryConv(net, x, 'conv3', { from: 64, to: 64, kernel: 3 });
  x = layers.add(net, layers.batchNorm(net, layers.relu(net, same, 'relu3'), 'bn3', 64), x, 'add3');

  const pooled = layers.pool(net, 'AveragePool', x, 'avgpool', { kernel: 3, stride: 2 });
  const halved = Math.ceil(Math.ceil(options.imageSize / 2) / 2);
  const positions = Math.floor((halved - 3) / 2) + 1;
  layers.classifier(net, layers.flatten(net, pooled), 'fc', 64 * positions * positions);
  return net.builder.model;
}
