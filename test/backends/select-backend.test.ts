import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { probeBackends } from '../../src/backends/probe.ts';
import { selectBackend } from '../../src/backends/select-backend.ts';
import { describeNative } from './native/harness.ts';

describe('selectBackend', () => {
  it('cpu on request', async () => {
    const selected = await selectBackend('cpu');
    expect(tf.getBackend()).toBe('cpu');
    expect(selected).toMatchObject({ name: 'cpu', threads: 1, isa: null });
    expect(selected.description).toMatch(/slow/);
  });

  it('webgpu says what is missing, or works', async () => {
    const outcome = await selectBackend('webgpu').catch((error: unknown) => error);
    if (outcome instanceof Error) {
      expect(outcome).toMatchObject({ code: 'E_BACKEND', hint: expect.stringMatching(/bnn setup webgpu|driver/) });
    } else {
      expect(outcome).toMatchObject({ name: 'webgpu' });
    }
  });

  it('an unknown name and a bad thread count are usage errors', async () => {
    await expect(selectBackend('cuda')).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(selectBackend('cpu', { threads: 0 })).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(selectBackend('cpu', { threads: 1.5 })).rejects.toMatchObject({ code: 'E_USAGE' });
  });

  it('tensorflow without its package says what to install, or works', async () => {
    const outcome = await selectBackend('tensorflow').catch((error: unknown) => error);
    if (outcome instanceof Error) {
      expect(outcome).toMatchObject({ code: 'E_BACKEND', hint: expect.stringMatching(/install/) });
    } else {
      expect(outcome).toMatchObject({ name: 'tensorflow' });
    }
  });
});

describeNative('selectBackend native', () => {
  it('reports instruction set, threads and memory', async () => {
    const selected = await selectBackend('native', { threads: 2 });
    expect(tf.getBackend()).toBe('native');
    expect(selected.threads).toBe(2);
    expect(selected.description).toBe(`native ${selected.isa}, 2 threads, built here`);
    const x = tf.fill([1000], 1);
    const y = tf.add(x, 1);
    const { bytesInUse, peakBytes } = selected.memory();
    expect(bytesInUse).toBeGreaterThanOrEqual(8000);
    expect(peakBytes).toBeGreaterThanOrEqual(bytesInUse);
    tf.dispose([x, y]);
  });

  it('auto chooses a fast one and says why', async () => {
    const { name, description, reason } = await selectBackend('auto');
    expect(['native', 'tensorflow', 'webgpu', 'wasm']).toContain(name);
    expect(reason).toMatch(/GPU/);
    expect(description).toMatch(/GPU/);
  });
});

describe('probeBackends', () => {
  it('has a line for every backend, and a hint for each that does not work', async () => {
    const reports = await probeBackends();
    expect(reports.map((report) => report.name).sort()).toEqual(['cpu', 'native', 'tensorflow', 'wasm', 'webgpu']);
    for (const report of reports) {
      expect(report.detail).not.toBe('');
      if (!report.works) expect(report.hint).toBeTruthy();
    }
  });
});
