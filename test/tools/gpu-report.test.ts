import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { formatReport, insertReport } from '../../tools/gpu-report.ts';

const folder = mkdtempSync(join(tmpdir(), 'bnn-gpu-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A line as tools/gpu-check.sh writes it. */
function line(step: string, status: string, printed: string, errors = ''): string {
  const [out, err] = [join(folder, 'out'), join(folder, 'err')];
  writeFileSync(out, printed);
  writeFileSync(err, errors);
  return execFileSync(process.execPath, ['tools/gpu-check-line.mjs', step, status, '3', out, err], {
    encoding: 'utf8',
  });
}

const json = (...events: object[]) => events.map((event) => JSON.stringify(event)).join('\n');

describe('a report of gpu-check', () => {
  const group = { name: 'input gradient', count: 18, ms: 1.5, bytes: 2e9, multiplyAdds: 142e9, leastMs: 1.25 };
  const profile = { event: 'profile', ms: 3, commands: 310, kernels: [group], layers: [] };
  const found = {
    event: 'case',
    name: 'resnet20 batch 128',
    imagesPerSecond: 40000,
    medianMs: 3.2,
    peakShare: 0.25,
    peakMiB: 227,
  };
  const text = [
    line('machine', '0', 'NVIDIA H200, 570.1, 143771 MiB\n'),
    line(
      'kernels',
      '0',
      json(
        { event: 'device', device: 'H200', peakGflops: 60000, peakGBs: 4000 },
        { event: 'kernel', shape: '3×3', ms: [1, 2, 3], shares: [0.5, 0.25, 0.125] },
      ),
    ),
    line(
      'tensor-cores',
      '0',
      json(
        { event: 'matrices', m: 16, n: 16, k: 16 },
        {
          event: 'gradients',
          shape: '3×3',
          ms: [
            [4, 1],
            [3, 1.5],
          ],
          apart: [1e-7, 2e-7],
        },
      ),
    ),
    line('train-resnet20', '0', json(profile, found)),
    line('train-resnet20-tensor-cores', '0', json(found)),
    line('pytorch-resnet20-fp32', '0', json({ imagesPerSecond: 30000 }, { imagesPerSecond: 31000 })),
    line(
      'mnist-webgpu',
      '124',
      json({ event: 'epoch', epoch: 1, trainLoss: 0.5, testTop1: 0.9, seconds: 2 }),
      'x\ntoo | slow\n',
    ),
    line(
      'validate-webgpu',
      '0',
      json({ event: 'result', images: 2000, agreement: 1, maxLogitDifference: 4e-6, nodes: { webgpu: 30 } }),
    ),
    line('model-webgpu', '0', json({ event: 'case', batch: 1, medianMs: 0.5 })),
  ].join('');

  it('has tables of all that was measured, and says what failed', () => {
    const report = formatReport(text);
    expect(report).toContain('GPU: NVIDIA H200, 570.1, 143771 MiB. H200: 60000.0 Gflop/s');
    expect(report).toContain('8 of 9 steps went through.');
    expect(report).toContain('by tensor cores (16×16×16)');
    for (const row of [
      /\| mnist-webgpu +\| timeout +\| too \\\| slow/,
      /\| 3×3 +\| 1\.000 ms \(50\.0 %\) +\| 2\.000 ms \(25\.0 %\)/,
      /\| 3×3 +\| 4\.000 → 1\.000 ms, 1\.0e-7 apart \| 3\.000 → 1\.500 ms, 2\.0e-7 apart \|/,
      /\| resnet20 batch 128, tensor cores \| 40000/,
      /\| resnet20 batch 128 +\| 40000 +\| 3\.20 +\| 25\.0 % +\| 227 +\| 31000 +\| - /,
      /\| input gradient +\| 18 +\| 1\.500 +\| 50\.0 % +\| 2000 +\| 142\.00 +\| 1\.250/,
      /\| webgpu +\| 1 +\| 0\.5000 +\| 90\.0 %/,
      /\| webgpu +\| 2000 +\| 100\.0 % +\| 4\.0e-6 +\| 30 on webgpu +\| 1: 0\.500/,
    ])
      expect(report).toMatch(row);
  });

  it('says what tensor cores lack', () => {
    const report = formatReport('{"step":"tensor-cores","status":"not here","text":"no f16"}');
    expect(report).toContain('0 of 0 steps went through.');
    expect(report).toContain('Tensor cores: no f16.');
  });

  it('goes between two lines of a page, again and again', () => {
    const page = 'a\n<!-- gpu-report -->\nold\n<!-- end of gpu-report -->\nb\n';
    const once = insertReport(page, 'new');
    expect(once).toBe('a\n<!-- gpu-report -->\n\nnew\n\n<!-- end of gpu-report -->\nb\n');
    expect(insertReport(once, 'new')).toBe(once);
    expect(() => insertReport('a', 'new')).toThrow('gpu-report');
  });
});

describe.skipIf(process.platform === 'win32')('gpu-check.sh', () => {
  it('is a program that bash reads', () => {
    execFileSync('bash', ['-n', 'tools/gpu-check.sh']);
  });
});
