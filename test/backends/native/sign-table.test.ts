import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FLOAT32_TOLERANCE } from '../../../src/core/numbers/tolerance.ts';
import { approxSignSchedule } from '../../../src/estimators/approx-sign.ts';
import { createDsq } from '../../../src/estimators/dsq.ts';
import { createEde } from '../../../src/estimators/ede.ts';
import type { Estimator } from '../../../src/estimators/estimator.ts';
import { createFda } from '../../../src/estimators/fda.ts';
import { createRbnn } from '../../../src/estimators/rbnn.ts';
import { createSwishSign } from '../../../src/estimators/swish-sign.ts';
import { describeNative, native, run } from './harness.ts';

const golden = JSON.parse(readFileSync(new URL('../../golden/estimators.json', import.meta.url), 'utf8'));
const z = golden.z as number[];

interface Reference {
  readonly params?: Record<string, number>;
  readonly grad: number[];
  readonly grad_clipped_to_1?: number[];
}

const CREATE: Record<string, (params: Record<string, number>, name: string) => Estimator> = {
  approx: () => approxSignSchedule().at(0, 1),
  swish: ({ beta }) => createSwishSign(beta!),
  ede: ({ t }) => createEde(t!),
  dsq: ({ alpha }) => createDsq(alpha!),
  fda: ({ n }) => createFda(n!),
  rbnn: ({ t }, name) => createRbnn(t!, name.includes('act') ? 'activation' : 'weight'),
};

async function slopes(estimator: Estimator, x: Float32Array): Promise<Float32Array> {
  const shape = [x.length];
  const inputs = { x: { shape, values: x }, dy: { shape, values: new Float32Array(x.length).fill(1) } };
  const [dx] = await run('native', 'BnnSignGradTable', inputs, estimator.attributes!);
  return dx!.values;
}

describeNative('BnnSignGradTable', () => {
  const isas = native.ok ? native.value.isas().split(',') : [];
  describe.each(isas)('%s', (isa) => {
    it.each(Object.entries(golden.estimators as Record<string, Reference>))(
      '%s: golden values and a dense grid',
      async (name, reference) => {
        if (!native.ok) return;
        const chosen = native.value.isa();
        native.value.setIsa(isa);
        const estimator = CREATE[name.split('_')[0]!]!(reference.params ?? {}, name);
        const expected = reference.grad_clipped_to_1 ?? reference.grad;
        const scale = Math.max(...expected.map(Math.abs), estimator.factor(0));
        const atGolden = await slopes(estimator, Float32Array.from(z));
        // A float32 input is off by up to 6e-8 of itself: the formula at that input is the reference where it jumps or is steep.
        for (const [i, x] of z.entries()) {
          const exact = Math.fround(x) === x ? expected[i]! : estimator.factor(Math.fround(x));
          expect(Math.abs(atGolden[i]! - exact), `s(${x})`).toBeLessThanOrEqual(FLOAT32_TOLERANCE * scale);
        }
        const grid = Float32Array.from({ length: 20011 }, (_, i) => (i - 10005) / 3000);
        const dense = await slopes(estimator, grid);
        let worst = 0;
        for (const [i, x] of grid.entries()) worst = Math.max(worst, Math.abs(dense[i]! - estimator.factor(x)));
        expect(worst).toBeLessThanOrEqual(FLOAT32_TOLERANCE * scale);
        native.value.setIsa(chosen);
      },
    );
  });

  it('is 0 beyond the limit, for infinities too; NaN stays', async () => {
    const values = await slopes(createDsq(0.2), Float32Array.of(1, 1.0000001, -7, Infinity, -Infinity, Number.NaN));
    expect(values[0]).toBeGreaterThan(0);
    expect(Array.from(values.slice(1))).toEqual([0, 0, 0, 0, Number.NaN]);
  });

  it('refuses what is no table', async () => {
    const x = { shape: [1], values: Float32Array.of(1) };
    await expect(run('native', 'BnnSignGradTable', { x, dy: x }, { limit: 1 })).rejects.toThrow(/pieces/);
    await expect(
      run('native', 'BnnSignGradTable', { x, dy: x }, { limit: 1, pieces: new Float32Array(3) }),
    ).rejects.toThrow(/pairs/);
  });
});
