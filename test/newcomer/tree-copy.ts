/** A copy of this repository that files are added to and changed in, and where its own tools and tests run. */

import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FILES = ['package.json', 'tsconfig.json', 'vitest.config.ts', 'biome.json', '.gitignore'];

/** What somebody does to the tree. */
export type Change =
  /** A new file, and its text. */
  | { readonly file: string; readonly text: string }
  /** New lines, each in front of the first place where a text stands; it ends the file where it is `end`. */
  | { readonly file: string; readonly insert: readonly (readonly [before: string, text: string])[] };

export class TreeCopy {
  readonly path = mkdtempSync(join(tmpdir(), 'bnn-newcomer-'));

  /** @param folders  of the repository that are copied; `linked` ones are only read. */
  constructor(folders: readonly string[], linked: readonly string[] = ['node_modules']) {
    for (const name of [...FILES, ...folders]) {
      mkdirSync(dirname(join(this.path, name)), { recursive: true });
      cpSync(join(ROOT, name), join(this.path, name), { recursive: true });
    }
    for (const name of linked) if (existsSync(join(ROOT, name))) symlinkSync(join(ROOT, name), join(this.path, name));
  }

  apply(change: Change): void {
    const path = join(this.path, change.file);
    if ('text' in change) {
      if (existsSync(path)) throw new Error(`${change.file} is there already`);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, change.text);
      return;
    }
    let text = readFileSync(path, 'utf8');
    for (const [before, added] of change.insert) {
      const at = text.indexOf(before);
      if (at < 0) throw new Error(`${change.file} has no "${before}"`);
      text = text.slice(0, at) + added + text.slice(at);
    }
    writeFileSync(path, text);
  }

  read(file: string): string {
    return readFileSync(join(this.path, file), 'utf8');
  }

  /** Runs a program of Node in the copy. */
  node(script: string, ...args: string[]): SpawnSyncReturns<string> {
    // Those of the test that this is part of are not for the ones that it runs.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST')));
    return spawnSync(process.execPath, [join(this.path, script), ...args], { cwd: this.path, encoding: 'utf8', env });
  }

  delete(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The part of CONTRIBUTING.md on adding something, e.g. `an estimator`. */
export function chapter(what: string): string {
  const text = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8');
  const found = text.split(/\n\n/).find((paragraph) => paragraph.startsWith(`**${what}`));
  if (found === undefined) throw new Error(`CONTRIBUTING.md does not say how ${what} is added`);
  return found.replaceAll(/\s+/g, ' ');
}
