import { expect, test } from 'vitest';
import { probeOps } from '../../src/inference/probe-ops.ts';
import { missingAddon, missingOps } from './native-parts.ts';

test('says which kernels run, or what is missing', async () => {
  const missing = missingAddon ?? missingOps;
  const report = await probeOps();
  expect(report).toMatchObject(
    missing === undefined
      ? { works: true, detail: expect.stringMatching(/^kernels \S+, available .*scalar/) as string }
      : { works: false, detail: missing, hint: expect.any(String) as string },
  );
});
