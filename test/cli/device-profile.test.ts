import { expect, it } from 'vitest';
import { formatDeviceProfile, summarizeCommands } from '../../src/cli/bench/device-profile-report.ts';

const command = (label: string, scope: string, ms: number, bytes: number, multiplyAdds = 0) => ({
  ...{ label, scope, ms, bytes, multiplyAdds },
});
const COMMANDS = [
  command('sign', 'conv1', 1, 2e6),
  command('product', 'conv1', 4, 1e6, 5e9),
  command('sign', 'conv2', 2, 4e6),
];

it('commands are summed by kernel and by layer, with what the peaks allow for each', () => {
  // 2 GB/s and 5 Tflop/s: 1 ms for 2 MB, 2 ms for 5 G multiply-adds.
  const { kernels, layers, ms } = summarizeCommands({ commands: COMMANDS, peakGflops: 5000, peakGBs: 2 });
  expect(ms).toBe(7);
  expect(kernels).toEqual([
    { name: 'product', count: 1, ms: 4, bytes: 1e6, multiplyAdds: 5e9, leastMs: 2 },
    { name: 'sign', count: 2, ms: 3, bytes: 6e6, multiplyAdds: 0, leastMs: 3 },
  ]);
  expect(layers.map(({ name, ms, leastMs }) => [name, ms, leastMs])).toEqual([
    ['conv1', 5, 3],
    ['conv2', 2, 2],
  ]);
});

it('the tables say so, also where no peak could be measured', () => {
  const text = formatDeviceProfile({ commands: COMMANDS, peakGflops: 5000, peakGBs: 2 });
  expect(text).toMatch(/^3 commands of a step, each alone: 7\.00 ms\nmeasured peaks of the device: 5,?000 Gflop\/s/);
  expect(text).toMatch(/product +│? *1 .* 4\.000 .* 57\.1 % .* 1\.0 .* 5\.00 .* 2\.000/);
  const [sign] = summarizeCommands({ commands: COMMANDS, peakGflops: null, peakGBs: null }).kernels.slice(1);
  expect(sign?.leastMs).toBeNull();
});
