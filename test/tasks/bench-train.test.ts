import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadNativeAddon } from '../../src/backends/native/addon.ts';
import { formatTrainCase } from '../../src/cli/bench/bench-train-report.ts';
import { benchTrain } from '../../src/tasks/bench-train.ts';

/** Stands for an interpreter with torch: answers each round as the real script does, faster in some forms than in others. */
const INTERPRETER = `#!${process.execPath}
const { appendFileSync } = require('node:fs');
const args = process.argv.slice(3);
const form = [args.find((arg) => arg.startsWith('--precision=')).slice(12), args.includes('--channels-last') ? 'last' : 'first'].join(' ');
const speed = { 'fp32 first': 300, 'fp32 last': 200, 'bf16 first': 400, 'bf16 last': 600 }[form];
require('node:readline').createInterface({ input: process.stdin }).on('line', (steps) => {
  appendFileSync(process.env.BNN_TEST_LOG, form + '\\n');
  console.log(JSON.stringify({ device: 'cpu', processorMs: 1, imagesPerSecond: speed, seconds: 1, steps: Number(steps), peakMiB: 100, startMiB: 50 }));
});
`;

const native = loadNativeAddon();

describe.skipIf(!native.ok)(`bnn-bench train beside PyTorch${native.ok ? '' : ` (skipped: ${native.reason})`}`, () => {
  let folder: string;
  const before = { ...process.env };
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bnn-torch-'));
    process.env['BNN_PYTHON'] = join(folder, 'python');
    process.env['BNN_TEST_LOG'] = join(folder, 'log');
    await writeFile(join(folder, 'python'), INTERPRETER);
    await chmod(join(folder, 'python'), 0o755);
  });
  afterEach(async () => {
    process.env = before;
    await rm(folder, { recursive: true });
  });

  it('tries every form and takes turns with the fastest', async () => {
    const result = await benchTrain({ model: 'resnet20', batch: 2, rounds: 2, steps: 1 });
    const { pytorch } = result.baselines;
    expect(pytorch).toMatchObject({ precision: 'bf16', channelsLast: true, imagesPerSecond: 600 });
    expect(
      pytorch?.trials.map(({ precision, channelsLast, imagesPerSecond }) => [precision, channelsLast, imagesPerSecond]),
    ).toEqual([
      ['bf16', true, 600],
      ['bf16', false, 400],
      ['fp32', false, 300],
      ['fp32', true, 200],
    ]);
    // Of the rounds, whose speeds are those of a machine that others disturb: it is our speed over theirs, not the other way round.
    const ratio = (pytorch?.ratio ?? 0) / (result.imagesPerSecond / 600);
    expect(ratio > 1 / 3 && ratio < 3, `ratio ${pytorch?.ratio} at ${result.imagesPerSecond} images/s`).toBe(true);
    const log = (await readFile(join(folder, 'log'), 'utf8')).trim().split('\n');
    expect(log.filter((form) => form === 'fp32 first')).toHaveLength(2);
    expect(log.slice(-2)).toEqual(['bf16 last', 'bf16 last']);
    const text = formatTrainCase(result);
    expect(text).toMatch(/PyTorch +600 images\/s on cpu in bf16, channels last, peak/);
    expect(text).toMatch(/^ +fp32 +300 images\/s$/m);
  });

  it('says why it is not measured when its process fails', async () => {
    await writeFile(join(folder, 'python'), '#!/bin/sh\necho "no module named torch" >&2\nexit 1\n');
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    const result = await benchTrain({ model: 'resnet20', batch: 2, rounds: 1, steps: 1, onNote });
    expect(result.baselines).toEqual({});
    expect(notes.join()).toContain('no module named torch');
  });
});
