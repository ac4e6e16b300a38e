/** Fetches one file of the npm registry into a folder, checked against a digest that is written down. Node's own modules only. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The unpacked package `name`@`version` in `folder`, fetched unless it is there. `integrity` is the registry's, `sha512-…` in base64;
 * anything else that arrives is an error. What is written is complete or absent.
 */
export function fetchNpmPackage({ name, version, integrity }, folder) {
  if (existsSync(folder)) return folder;
  mkdirSync(dirname(folder), { recursive: true });
  const temporary = mkdtempSync(join(dirname(folder), '.fetch-'));
  try {
    const npm = (...args) =>
      execFileSync('npm', args, { cwd: temporary, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const archive = join(temporary, npm('pack', '--silent', '--ignore-scripts', `${name}@${version}`).trim());
    const digest = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (digest !== integrity) throw new Error(`${name}@${version} has the digest ${digest}, expected ${integrity}`);
    execFileSync('tar', ['xzf', archive], { cwd: temporary });
    renameSync(join(temporary, 'package'), folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return folder;
}
