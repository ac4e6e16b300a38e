import { defineConfig } from 'vitest/config';

/** Tests that take minutes: `npm run test:slow`. */
export default defineConfig({
  test: {
    setupFiles: 'test/setup.ts',
    include: ['test/**/*.slow.test.ts'],
    testTimeout: 3_600_000,
    hookTimeout: 600_000,
    fileParallelism: false,
  },
});
