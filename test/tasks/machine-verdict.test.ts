import { expect, test } from 'vitest';
import type { Finding } from '../../src/core/found.ts';
import { verdictOf } from '../../src/tasks/machine-verdict.ts';

const works = (name: string): Finding => ({ name, works: true, detail: '' });
const lacks = (name: string, hint = 'bnn setup x'): Finding => ({ name, works: false, detail: 'no', hint });

const COMPLETE = {
  backends: [lacks('tensorflow'), lacks('webgpu'), works('native'), works('wasm'), works('cpu')],
  providers: [works('cpu'), lacks('cuda')],
  kernels: [works('operator library'), works('our engine')],
};

test('all that is needed works: nothing to do, whatever else is missing', () => {
  expect(verdictOf(COMPLETE)).toEqual({
    state: 'ready',
    summary: 'training runs on native, packed files run in onnxruntime with the operator library',
    todo: [],
  });
});

test('without native kernels everything works, slower', () => {
  const backends = [lacks('native'), works('wasm'), works('cpu')];
  const kernels = [lacks('operator library', 'bnn setup native'), works('our engine')];
  const { state, summary, todo } = verdictOf({ ...COMPLETE, backends, kernels });
  expect({ state, summary }).toEqual({
    state: 'slow',
    summary: 'training runs on wasm, packed files run in our engine',
  });
  expect(todo).toEqual([
    'bnn setup native: faster training',
    'bnn setup native: packed files at full speed in onnxruntime',
  ]);
});

test('without onnxruntime something cannot be done', () => {
  const { state, todo } = verdictOf({ ...COMPLETE, providers: [lacks('cpu')] });
  expect(state).toBe('incomplete');
  expect(todo).toEqual(['bnn setup onnxruntime: to run files that are not packed']);
});

test('of two backends with a GPU, training runs on webgpu', () => {
  const backends = [works('webgpu'), works('tensorflow'), works('native')];
  expect(verdictOf({ ...COMPLETE, backends }).summary).toMatch(/^training runs on webgpu/);
});
