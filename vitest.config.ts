import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

// Generous, for slow and busy machines: a limit is there to end what hangs, not to measure.
export default defineConfig({
  test: {
    setupFiles: 'test/setup.ts',
    exclude: [...configDefaults.exclude, '**/*.slow.test.ts', '**/*.platform.test.ts'],
    // Most tests wait for processes of their own: one worker leaves half of two cores idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
