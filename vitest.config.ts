import { configDefaults, defineConfig } from 'vitest/config';

// Generous, for slow and busy machines: a limit is there to end what hangs, not to measure.
export default defineConfig({
  test: {
    setupFiles: 'test/setup.ts',
    exclude: [...configDefaults.exclude, '**/*.slow.test.ts', '**/*.platform.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
