import { defineConfig } from 'vitest/config';

/** The published package in an empty project, with two package managers: `npm run test:install`. All of them: `npm run test:platforms`. */
export default defineConfig({
  test: {
    setupFiles: 'test/setup.ts',
    include: ['test/platforms/install.platform.test.ts'],
    env: { BNN_TEST_MANAGERS: process.env['BNN_TEST_MANAGERS'] ?? '^npm 11, --ignore|^pnpm 12' },
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
