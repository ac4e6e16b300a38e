import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadNativeAddon } from '../../../src/backends/native/addon.ts';
import { parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { readHistory } from '../../../src/training/sessions/history-io.ts';
import { isFinished } from '../../../src/training/sessions/is-finished.ts';
import { train } from '../../../src/training/sessions/trainer.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bnn-stop-'));
});
afterAll(() => rm(folder, { recursive: true }));

it.skipIf(!loadNativeAddon().ok)(
  'stops after `patience` epochs without a better validation accuracy, for good',
  { timeout: 60_000 },
  async () => {
    const recipe = parseRecipe([
      { limitTrain: 320, limitTest: 50, validation: 64, epochs: 30, patience: 2, backend: 'native', threads: 1 },
    ]);
    const result = await train(recipe, { out: folder });
    const records = await readHistory(join(folder, 'history.jsonl'));
    const accuracies = records.map(({ validationTop1 }) => validationTop1!);
    expect(result.epochs).toBe(accuracies.length);
    expect(accuracies.length).toBeLessThan(30);
    const best = accuracies.indexOf(Math.max(...accuracies));
    expect(accuracies.length - 1 - best).toBe(2);
    expect(result.best).toEqual({ epoch: best + 1, top1: accuracies[best] });
    // Nor did it go past an earlier pause of two epochs.
    let top = 0;
    let since = 0;
    for (const value of accuracies.slice(0, -1)) {
      since = value > top ? 0 : since + 1;
      top = Math.max(top, value);
      expect(since).toBeLessThan(2);
    }
    // The history tells the same, epoch by epoch.
    expect(records.map((_, i) => isFinished(records.slice(0, i), recipe))).not.toContain(true);
    expect(isFinished(records, recipe)).toBe(true);
    expect(isFinished(records, { epochs: 30, patience: 3 })).toBe(false);
    expect(isFinished(records, { epochs: 30, patience: 0 })).toBe(false);
    const resumed = await train(recipe, { out: folder, resume: true });
    expect([resumed.epochs, resumed.testTop1]).toEqual([result.epochs, result.testTop1]);
  },
);
