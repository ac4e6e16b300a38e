import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const hasNative = existsSync(join(ROOT, 'build/bnn_native.node'));

it('the quickstart trains on MNIST, exports, and validates the packed file in stock onnxruntime', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/quickstart.mjs'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  const figure = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1]);
  const accuracy = figure(/, ([\d.]+) % for the packed file/);
  // Without the native backend it trains on a small part of the data.
  expect(accuracy, stdout).toBeGreaterThanOrEqual(hasNative ? 98 : 50);
  expect(figure(/agreement\s+([\d.]+) %/)).toBeGreaterThanOrEqual(99.9);
  const packed = statSync(join(ROOT, 'runs/quickstart/packed.onnx')).size;
  expect(figure(/-> ([\d.]+) kB packed/)).toBeCloseTo(packed / 1000, 1);
}, 400_000);
