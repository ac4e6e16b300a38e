import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterAll, describe, expect, it } from 'vitest';
import { registerNativeBackend } from '../../../src/backends/native/register.ts';
import { relativeError } from '../../../src/core/numbers/tolerance.ts';
import { createReste } from '../../../src/estimators/reste.ts';
import { createSwishSign } from '../../../src/estimators/swish-sign.ts';
import type { Model } from '../../../src/graph/model.ts';
import { Program } from '../../../src/training/program/program.ts';
import { buildModel } from '../../../src/zoo/zoo.ts';

const native = registerNativeBackend();
const NAMES = ['binarynet-mini', 'resnet20-bireal', 'resnet20'];

afterAll(() => tf.setBackend('cpu'));

/** The same network with a step of its own for every bnn.Sign of activations: something else reads the signs as well. */
function withoutFusion(name: string): Model {
  const model = build(name);
  for (const node of model.graph.nodes()) {
    if (!node.is('Sign', 'bnn') || node.requiredInput(0).constant !== null) continue;
    model.graph.addNode('Identity', [node.output]);
  }
  return model;
}

/** The same network with a step of its own for every addition after a batch normalization. */
function withoutSums(name: string): Model {
  const model = build(name);
  for (const node of model.graph.nodes()) {
    if (node.is('BatchNormalization')) model.graph.addNode('Identity', [node.output]);
  }
  return model;
}

function build(name: string): Model {
  return buildModel(name, { seed: 3, imageSize: name === 'binarynet-mini' ? 28 : 8 });
}

async function gradientsOf(
  model: Model,
  backend: string,
  { estimator = createReste(2), explicitPadding = true } = {},
): Promise<Map<string, Float32Array>> {
  await tf.setBackend(backend);
  const [, channels = 0, height = 0, width = 0] = (model.graph.inputs[0]?.shape ?? []) as number[];
  const program = new Program(model, { explicitPadding });
  const x = tf.randomNormal([2, height, width, channels], 0, 1, 'float32', 7);
  const settings = { weightEstimator: estimator, activationEstimator: estimator };
  const { gradients } = program.differentiate(x, settings, (logits) => ({
    loss: null,
    dlogits: tf.tidy(() => tf.reshape(tf.linspace(-1, 1, logits.size), logits.shape)),
  }));
  const result = new Map<string, Float32Array>();
  for (const [name, gradient] of gradients) result.set(name, gradient.dataSync() as Float32Array);
  tf.dispose([x, [...gradients.values()]]);
  program.dispose();
  return result;
}

function expectEqual(got: Map<string, Float32Array>, want: Map<string, Float32Array>, limit: number): void {
  expect([...got.keys()]).toEqual([...want.keys()]);
  for (const [name, gradient] of want) expect(relativeError(got.get(name) ?? [], gradient), name).toBeLessThan(limit);
}

/** The bytes of all gradients, by name. */
function bytesOf(gradients: Map<string, Float32Array>): [string, Buffer][] {
  return [...gradients].map(([name, { buffer, byteOffset, byteLength }]) => [
    name,
    Buffer.from(buffer, byteOffset, byteLength),
  ]);
}

function expectSameBits(got: Map<string, Float32Array>, want: Map<string, Float32Array>): void {
  const wanted = new Map(bytesOf(want));
  expect([...got.keys()]).toEqual([...want.keys()]);
  for (const [name, bytes] of bytesOf(got)) expect(bytes.equals(wanted.get(name) as Buffer), name).toBe(true);
}

describe.skipIf(!native.ok)(
  `BatchNormalization with the Add after it${native.ok ? '' : ` (skipped: ${native.reason})`}`,
  () => {
    // Shortcuts that are the block's input, a parametric ReLU after the sum, and shortcuts that are normalized too.
    it.each(['resnet20', 'resnet20-react', 'resnet18-cifar'])(
      '%s: the same bits as two steps',
      { timeout: 120_000 },
      async (name) => {
        const kernel = tf.getKernel('BnnBatchNormTrain', 'native') as tf.KernelConfig;
        let calls = 0;
        tf.unregisterKernel(kernel.kernelName, 'native');
        tf.registerKernel({
          ...kernel,
          kernelFunc: (call) => {
            if (call.inputs['residual'] !== undefined) calls++;
            return kernel.kernelFunc(call);
          },
        });
        const fused = await gradientsOf(build(name), 'native');
        tf.unregisterKernel(kernel.kernelName, 'native');
        tf.registerKernel(kernel);
        expect(calls).toBeGreaterThan(0);
        expectSameBits(fused, await gradientsOf(withoutSums(name), 'native'));
      },
    );
  },
);

describe('Conv with the Sign before it', () => {
  it('has the same gradients as two steps, on the cpu backend', async () => {
    const fused = await gradientsOf(build('binarynet-mini'), 'cpu');
    expectEqual(fused, await gradientsOf(withoutFusion('binarynet-mini'), 'cpu'), 1e-6);
  });

  describe.skipIf(!native.ok)(`on the native backend${native.ok ? '' : ` (skipped: ${native.reason})`}`, () => {
    it.each(NAMES)('%s: the same gradients as two steps', async (name) => {
      expectEqual(await gradientsOf(build(name), 'native'), await gradientsOf(withoutFusion(name), 'native'), 1e-5);
    });

    it('also with an estimator that only plain operations know', async () => {
      const estimator = createSwishSign(5);
      const fused = await gradientsOf(build('binarynet-mini'), 'native', { estimator });
      expectEqual(fused, await gradientsOf(withoutFusion('binarynet-mini'), 'native', { estimator }), 1e-5);
    });

    it('a step leaves no tensor behind, although outputs are freed and computed again', async () => {
      await tf.setBackend('native');
      await gradientsOf(build('resnet20'), 'native');
      const before = tf.memory().numTensors;
      await gradientsOf(build('resnet20'), 'native');
      expect(tf.memory().numTensors).toBe(before);
    });
  });
});
