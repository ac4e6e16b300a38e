import type { Page } from 'playwright-core';
import { expect } from 'vitest';

/** Waits for an expression in a page. Playwright's own waiting evaluates text inside the page, which the page's security policy forbids. */
export async function becomesTrue(page: Page, expression: string): Promise<void> {
  await expect.poll(() => page.evaluate(expression), { timeout: 30_000 }).toBe(true);
}
