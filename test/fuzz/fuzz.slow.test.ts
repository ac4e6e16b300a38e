/**
 * Mutated files of every kind that is read. BNN_FUZZ_COUNT says how many of each, BNN_TEST_SEED draws others; the place that a
 * finding names is the same input each time.
 */

import { describe, expect, it } from 'vitest';
import { runCampaign } from './campaign.ts';
import { missingTarget, TARGETS } from './targets.ts';

const COUNT = Number(process.env['BNN_FUZZ_COUNT'] ?? 300);
const SEED = Number(process.env['BNN_TEST_SEED'] ?? 1);

describe.each(TARGETS)('%s', (target) => {
  const missing = missingTarget(target);
  it.skipIf(missing !== undefined)(
    `${COUNT} mutated inputs give a result or a named error${missing === undefined ? '' : ` (${missing})`}`,
    async () => {
      expect(await runCampaign({ target, seed: SEED, count: COUNT })).toEqual([]);
    },
  );
});
