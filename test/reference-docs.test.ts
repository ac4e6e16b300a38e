import { readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../src/cli/commands.ts';
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE } from '../src/cli/print-error.ts';

/** Lists in docs/ of what the sources have: variables, events, codes. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SOURCE = ['.ts', '.mjs', '.cc', '.h', '.py', '.cjs'];

function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => SOURCE.includes(extname(file)))
    .map((file) => join(folder, file));
}

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const firstCells = (text: string): string[] =>
  [...text.matchAll(/^\| (`[^|]*`|\d+) \|/gm)].flatMap(([, cell = '']) => cell.match(/\w+/g) ?? []);

/** Names of variables that a text reads, by any of the ways that are in use. */
function variablesIn(text: string): string[] {
  const direct = text.matchAll(
    /(?:process\.env|\benv|environ)(?:\.|\[['"]|\.get\(['"])([A-Z][A-Z_]+)\b|getenv\("([A-Z_]+)"\)/g,
  );
  const taken = text.matchAll(/\{([^{}]*)\} = process\.env/g);
  return [
    ...Array.from(direct, ([, js, c]) => js ?? c ?? ''),
    ...Array.from(taken, ([, names = '']) => names.match(/[A-Z][A-Z_]+/g) ?? []).flat(),
  ];
}

describe('docs/environment.md', () => {
  const page = read('docs/environment.md');
  const listed = new Set(firstCells(page));

  it('lists every variable that src, native and tools read', () => {
    const found = ['src', 'native', 'tools', 'docs/deploy'].flatMap((folder) =>
      filesIn(folder).flatMap((file) => variablesIn(read(file))),
    );
    expect(found).toEqual(expect.arrayContaining(['BNN_NATIVE', 'BNN_KERNEL', 'BNN_OPS', 'CXX']));
    expect([...new Set(found)].filter((name) => !listed.has(name))).toEqual([]);
  });

  it('lists every variable of ours that a test reads', () => {
    const found = filesIn('test').flatMap((file) => variablesIn(read(file)).filter((name) => name.startsWith('BNN_')));
    expect([...new Set(found)].filter((name) => !listed.has(name))).toEqual([]);
  });

  it('lists no variable of ours that nothing reads', () => {
    const all = ['src', 'native', 'tools', 'test', 'docs/deploy']
      .flatMap(filesIn)
      .filter((file) => !file.includes('reference-docs'))
      .map(read)
      .join('\n');
    expect([...listed].filter((name) => name.startsWith('BNN_') && !all.includes(name))).toEqual([]);
  });
});

describe('docs/json.md', () => {
  const page = read('docs/json.md');
  const section = (title: string): string[] => firstCells(page.split(`## ${title}\n`)[1]?.split('\n## ')[0] ?? '');

  it('lists the events that commands print', () => {
    const printed = filesIn('src/cli').flatMap((file) =>
      Array.from(read(file).matchAll(/\.event\('([\w-]+)'/g), ([, name = '']) => name),
    );
    expect(section('Events').sort()).toEqual([...new Set(printed)].sort());
  });

  it('lists the exit codes', () => {
    expect(section('Exit codes').map(Number)).toEqual([0, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED]);
  });

  it('lists the error codes', () => {
    const union = read('src/errors.ts').split('export interface')[0] ?? '';
    const codes = Array.from(union.matchAll(/\| '(E_\w+)'/g), ([, code = '']) => code);
    expect(codes.length).toBeGreaterThan(5);
    expect(section('Error codes')).toEqual([...codes, 'E_INTERNAL']);
  });
});

describe('links and commands of all pages', () => {
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    ...readdirSync(join(ROOT, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ];

  it.each(pages)('%s: links lead to files and headings that exist', (page) => {
    const slug = (title: string): string =>
      title
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-');
    const broken = Array.from(read(page).matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target)
      .filter((target) => !/^(https?|mailto):/.test(target))
      .filter((target) => {
        const [path = '', anchor] = target.split('#');
        const file = path === '' ? page : relative(ROOT, join(ROOT, dirname(page), path));
        try {
          const text = file.endsWith('.md')
            ? read(file)
            : readdirSync(join(ROOT, dirname(file))).includes(file.split('/').at(-1) ?? '')
              ? ''
              : null;
          if (text === null) return true;
          return (
            anchor !== undefined &&
            !Array.from(text.matchAll(/^#+ (.*)$/gm), ([, title = '']) => slug(title)).includes(anchor)
          );
        } catch {
          return true;
        }
      });
    expect(broken).toEqual([]);
  });

  it.each(pages)('%s: names only commands that exist', (page) => {
    const named = Array.from(read(page).matchAll(/(?:^|`|npx )bnn ([a-z]+)\b/gm), ([, name = '']) => name);
    expect(named.filter((name) => !(name in COMMANDS) && name !== 'help')).toEqual([]);
  });
});
