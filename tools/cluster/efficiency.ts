/** Prints the tables of docs/cluster.md: the efficiency of 2 to 256 machines by the model of the cost, and the batches that pay. */

import { type Link, picturesThatPay, stepCost, type TrainedNetwork } from '../../src/distributed/cost-model.ts';
import { buildModel } from '../../src/zoo/zoo.ts';

/** images/s of one machine of two threads: the table of docs/training-speed.md. */
const SPEEDS = { resnet20: 1295, resnet18: 171, 'vgg-small': 214 } as const;
const PICTURES = { resnet20: 128, resnet18: 64, 'vgg-small': 64 } as const;
/** Of ResNet-20 there: 75 to 79 of 94 to 99 ms. */
const BACKWARD_SHARE = 0.79;
const LINKS: Readonly<Record<string, Link>> = {
  '1 Gbit/s, 50 µs': { latencySeconds: 50e-6, bytesPerSecond: 1e9 / 8 },
  '10 Gbit/s, 50 µs': { latencySeconds: 50e-6, bytesPerSecond: 1e10 / 8 },
  '100 Gbit/s, 5 µs': { latencySeconds: 5e-6, bytesPerSecond: 1e11 / 8 },
};
const MACHINES = [2, 4, 8, 16, 32, 64, 128, 256];

function networkOf(name: keyof typeof SPEEDS): TrainedNetwork {
  let [floats, norms, statistics] = [0, 0, 0];
  for (const { name: value, constant } of buildModel(name, { seed: 1 }).graph.values.values()) {
    if (!(constant?.data instanceof Float32Array) || constant.data.length < 2) continue;
    floats += constant.data.length;
    if (!value.endsWith('running_var')) continue;
    norms++;
    statistics += constant.data.length;
  }
  return { floats, norms, normChannels: statistics, imagesPerSecond: SPEEDS[name], backwardShare: BACKWARD_SHARE };
}

const percent = (share: number): string => `${(100 * share).toFixed(share > 0.9995 ? 0 : 1)}`;

for (const name of Object.keys(SPEEDS) as (keyof typeof SPEEDS)[]) {
  const network = networkOf(name);
  const each = PICTURES[name];
  const megabytes = (4 * network.floats) / 1e6;
  console.log(`\n${name}: ${megabytes.toPrecision(3)} MB of gradients, ${each} pictures for each machine\n`);
  console.log(`| link | ${MACHINES.join(' | ')} | pays from |`);
  console.log(`|---|${MACHINES.map(() => '---').join('|')}|---|`);
  for (const [title, link] of Object.entries(LINKS)) {
    const row = MACHINES.map((machines) => percent(stepCost(network, each, machines, link).efficiency));
    const pays = [8, 256].map((machines) => picturesThatPay(network, machines, link, 0.9) ?? '> 4096');
    console.log(`| ${title} | ${row.join(' | ')} | ${pays.join(' / ')} |`);
  }
}
