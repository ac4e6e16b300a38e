/** A browser without a window, driven by playwright-core, which is an optional package and brings no browser of its own. */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Browser } from 'playwright-core';
import { BnnError } from '../errors.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'chrome', 'msedge'];
const ELSEWHERE = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];
/** Nothing that a browser does of its own accord: no updates, no requests. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/** Chromium or a relative of it, where this machine has one. */
export function findChromium(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const places = folders.flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return [...places, ...ELSEWHERE].find(isProgram);
}

/**
 * Starts the browser.
 *
 * @param executable  the one of this machine unless told.
 * @param more        further arguments of its command line.
 * @throws {BnnError} E_NOT_FOUND when playwright-core or the browser is missing, E_BACKEND when it does not start.
 */
export async function launchChromium(executable?: string, more: readonly string[] = []): Promise<Browser> {
  const found = executable ?? findChromium();
  if (found === undefined || !isProgram(found)) {
    const what = found === undefined ? 'there is no Chromium on this machine' : 'this is no program';
    throw new BnnError('E_NOT_FOUND', `${what}, a browser to measure in`, {
      ...(found === undefined ? {} : { at: found }),
      hint: 'install it (Debian: apt-get install chromium), or name one: --browser PATH',
    });
  }
  const { chromium } = await loadPlaywright();
  try {
    return await chromium.launch({ executablePath: found, args: [...ARGUMENTS, ...more] });
  } catch (cause) {
    const [reason] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new BnnError('E_BACKEND', `the browser does not start: ${reason}`, {
      at: found,
      hint: 'start it with --headless to see why',
      cause,
    });
  }
}

async function loadPlaywright(): Promise<typeof import('playwright-core')> {
  try {
    return await import('playwright-core');
  } catch (cause) {
    throw new BnnError('E_NOT_FOUND', 'driving a browser needs the package playwright-core, which is not installed', {
      hint: 'npm install playwright-core',
      cause,
    });
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
