import { defineConfig } from 'vitest/config';

/** The packages of all platforms, built and run where this machine can: `npm run test:platforms`, docs/release.md. */
export default defineConfig({
  test: {
    setupFiles: 'test/setup.ts',
    include: ['test/platforms/**/*.platform.test.ts'],
    globalSetup: 'test/platforms/make-release.ts',
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
    fileParallelism: false,
  },
});
