import { expect, it } from 'vitest';
import { benchConv } from '../../src/tasks/bench-inference.ts';
import { missingAddon, missingOps } from '../inference/native-parts.ts';

const missing = missingAddon ?? missingOps;

it.skipIf(missing !== undefined)(
  `tells what it does, in order${missing === undefined ? '' : ` (${missing})`}`,
  async () => {
    const heard: string[] = [];
    const { machine, cases, meanRatios } = await benchConv({
      shapes: '32@6,32@4k1',
      rounds: 2,
      repetitions: 1,
      memory: false,
      onStart: ({ rounds, threads }) => heard.push(`start ${rounds} ${threads}`),
      onRound: (name, done, total) => heard.push(`${name}: ${done} of ${total}`),
      onCase: ({ name }) => heard.push(name),
    });
    const [first, second] = cases.map(({ name }) => name);
    expect(heard).toEqual([
      'start 2 1',
      ...[first, second].flatMap((name) => [`${name}: 1 of 2`, `${name}: 2 of 2`, name]),
    ]);
    expect(machine).toMatchObject({ threads: '1', rounds: '2' });
    const ratios = cases.map(({ baselines }) => baselines['stock-packed']!.ratio);
    expect(meanRatios['stock-packed']).toBeCloseTo(Math.sqrt(ratios[0]! * ratios[1]!), 10);
  },
);
