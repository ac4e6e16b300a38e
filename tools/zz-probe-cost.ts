import { IndicatorProbe } from '/work/main/src/training/indicator-probe.ts';
import { train } from '/work/main/src/training/trainer.ts';
import { parseRecipe } from '/work/main/src/training/recipe.ts';
import { rmSync } from 'node:fs';
let ms = 0;
for (const name of ['begin', 'addGradients', 'finish'] as const) {
  const original = (IndicatorProbe.prototype as any)[name];
  (IndicatorProbe.prototype as any)[name] = async function (...a: any[]) { const t = performance.now(); const r = await original.apply(this, a); const d = performance.now() - t; ms += d; console.log(name, d.toFixed(1)); return r; };
}
rmSync('/tmp/run-probe', { recursive: true, force: true });
const recipe = parseRecipe([{ model: process.argv[2] ?? 'resnet20', dataset: 'cifar10', data: '/work/shared/data/cifar-10-batches-bin', limitTrain: 2560, limitTest: 100, epochs: 2, batchSize: 128, backend: 'native', indicators: true }]);
const r = await train(recipe, { out: '/tmp/run-probe' });
console.log('total probe ms', ms, 'train s', r.seconds);
