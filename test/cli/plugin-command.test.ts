/** The plug-ins of docs/extend.md as they stand there, and what a mistake in one of them says. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { sha256 } from '../../src/core/files/digests-io.ts';
import { ESTIMATORS } from '../../src/estimators/table.ts';
import { ROOT, runCli } from './spawn-cli.ts';

vi.setConfig({ testTimeout: 240_000 });

const page = readFileSync(join(ROOT, 'docs/extend.md'), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text = '']) => text.trim());
const examples = readdirSync(join(ROOT, 'docs/extend'));
const hasDist = existsSync(join(ROOT, 'dist/index.js'));
const unbuilt = hasDist ? '' : ' (skipped: dist is not built)';
const SMALL = ['--limit-train', '128', '--limit-test', '64', '--epochs', '1', '--batch-size', '32', '--threads', '1'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bnn-plugin-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `bnn-train …` and `bnn compare …` as the command line is called; files and runs lie in the folder of the test. */
function run(command: string, ...more: string[]) {
  const [program = '', ...args] = command.split(/\s+/);
  const placed = args.map((arg) => arg.replace(/^runs\//, `${folder}/runs/`).replace(/^(\w+\.onnx)$/, `${folder}/$1`));
  return runCli([...placed, ...more], { program });
}

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('docs/extend.md', () => {
  it.each(examples)('shows %s as it is', (name) => {
    const text = readFileSync(join(ROOT, 'docs/extend', name), 'utf8').trim();
    expect(blocks(name.endsWith('.ts') ? 'ts' : 'js')).toContain(text);
  });

  // In order: some go on with what others wrote.
  it.each(blocks('sh').flatMap((block) => block.split('\n')))('%s', async (command) => {
    const isNew = command.startsWith('bnn-train') && !command.includes('--resume');
    const { code, stderr } = await run(command, ...(isNew ? SMALL : []));
    expect(stderr).not.toContain('error[');
    expect(code, stderr).toBe(0);
  });

  it.skipIf(!hasDist)(`its program for JavaScript runs${unbuilt}`, () => {
    const program = blocks('js').find((text) => text.includes('await train('))!;
    const at = mkdtempSync(join(ROOT, 'build/extend-'));
    try {
      writeFileSync(join(at, 'estimator.js'), readFileSync(join(ROOT, 'docs/extend/estimator.js')));
      writeFileSync(join(at, 'program.mjs'), program);
      expect(execFileSync(process.execPath, ['program.mjs'], { cwd: at, encoding: 'utf8', stdio: 'pipe' })).toMatch(
        /^0\.\d+\n$/,
      );
    } finally {
      rmSync(at, { recursive: true });
    }
  });

  it.skipIf(!hasDist)(`its examples are of the published types, strictly${unbuilt}`, () => {
    const config = write(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          ...{ strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, noEmit: true },
          ...{
            target: 'es2023',
            module: 'nodenext',
            allowJs: true,
            checkJs: true,
            skipLibCheck: true,
            types: ['node'],
          },
          typeRoots: [join(ROOT, 'node_modules/@types')],
        },
        files: [
          'typed.ts',
          'estimator.js',
          'estimator-tfjs.js',
          'weight-transform.js',
          'schedule.js',
          'network.js',
        ].map((name) => join(ROOT, 'docs/extend', name)),
      }),
    );
    const tsc = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc');
    const compile = () => execFileSync(process.execPath, [tsc, '-p', config], { encoding: 'utf8', stdio: 'pipe' });
    expect(compile()).toBe('');
    const typed = readFileSync(join(ROOT, 'docs/extend/typed.ts'), 'utf8');
    const at = mkdtempSync(join(ROOT, 'build/types-'));
    try {
      writeFileSync(join(at, 'wrong.ts'), typed.replace('{ cosineReach: reach }', '{ cosineRaech: reach }'));
      writeFileSync(config, readFileSync(config, 'utf8').replace(/"files":\[.*?\]/, `"files":["${at}/wrong.ts"]`));
      expect(compile).toThrow();
    } finally {
      rmSync(at, { recursive: true });
    }
  });

  it.skipIf(!hasDist)(`a plug-in in TypeScript trains where the process takes TypeScript${unbuilt}`, async () => {
    const args = ['--plugin', 'docs/extend/typed.ts', '--activation-estimator', 'cosine-slope'];
    const env = { NODE_OPTIONS: '--import tsx' };
    const trained = await runCli([...args, '--out', join(folder, 'typed'), ...SMALL], { program: 'bnn-train', env });
    expect(trained).toMatchObject({ code: 0 });
  });

  it.skipIf(!hasDist || 'typescript' in process.features)(
    'where Node does not take TypeScript, the error says what to do',
    () => {
      const args = [join(ROOT, 'dist/cli/bnn-train.js'), '--plugin', 'docs/extend/typed.ts'];
      expect(() => execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' })).toThrow(
        /E_UNSUPPORTED[\s\S]*does not run TypeScript[\s\S]*22\.18[\s\S]*esbuild/,
      );
    },
  );
});

describe('a plug-in on the command line', () => {
  const example = readFileSync(join(ROOT, 'docs/extend/estimator.js'), 'utf8');
  const train = (...args: string[]) =>
    runCli(['--out', join(folder, 'never'), ...SMALL, ...args], { program: 'bnn-train' });

  it('has its options in the help', async () => {
    const { stdout } = await runCli(['train', '--plugin', 'docs/extend/estimator.js', '--help']);
    expect(stdout).toMatch(
      /Options of the plug-in "triangle":\n\s+--triangle-width <x>\s+triangle: half of its base \(default: 1\)/,
    );
    const last = ESTIMATORS.at(-1)!.name;
    expect(stdout).toMatch(new RegExp(`${last},\\s+triangle`));
  });

  it('records its digest, and a resumed run takes no other and not none', async () => {
    const file = write('own.js', example);
    const out = join(folder, 'own');
    const start = ['--plugin', file, '--estimator', 'triangle', '--out', out];
    expect(await runCli([...start, ...SMALL], { program: 'bnn-train' })).toMatchObject({ code: 0 });
    const recipe = JSON.parse(readFileSync(join(out, 'recipe.json'), 'utf8'));
    expect(recipe.plugins).toEqual([{ name: 'triangle', sha256: sha256(example) }]);
    expect(recipe.triangleWidth).toBe(1);
    const resume = (...args: string[]) => runCli(['--resume', '--out', out, ...args], { program: 'bnn-train' });
    expect(await resume()).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/needs the plug-in "triangle", which is not given[\s\S]*--plugin FILE/),
    });
    expect(await resume('--plugin', write('changed.js', `${example}\n`))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/the plug-in "triangle" has SHA-256 [0-9a-f]{12}…, the recipe names/),
    });
    expect(await resume('--plugin', file)).toMatchObject({ code: 0 });
    // The network is one of standard operators by now.
    const exported = await runCli(['export', out, '-o', join(folder, 'own.onnx'), '--verify']);
    expect(exported).toMatchObject({ code: 0 });
    expect(await runCli(['validate', out, '--limit', '64'])).toMatchObject({ code: 0 });
  });

  it('fields are checked as the built-in ones are', async () => {
    const [plugin, file] = ['--plugin', 'docs/extend/estimator.js'];
    expect((await train(plugin, file, '--estimator', 'triangle', '--triangle-width', '1000')).stderr).toContain(
      'bnn-train: --triangle-width is 1000, expected a number between 0.01 and 100',
    );
    expect((await train(plugin, file, '--triangle-width', '2')).stderr).toContain(
      '--triangle-width does nothing here: it needs estimator triangle',
    );
    expect((await train(plugin, file, '--estimator', 'triangel')).stderr).toContain('did you mean "triangle"?');
    expect((await train('--triangle-width', '2')).stderr).toContain("unknown option '--triangle-width'");
  });

  it('a field that would be an option of the command is refused', async () => {
    const file = write('taken.js', example.replaceAll('triangleWidth', 'out'));
    expect((await train('--plugin', file)).stderr).toMatch(/would be the option --out, which is taken[\s\S]*taken\.js/);
  });

  it.each([
    ['an error while it runs', 'Math.max(0,', 'Math.nope(0,', 'TypeError: Math.nope is not a function'],
    // tsx words it in its own way.
    ['a wrong character', 'limit: width,', 'limit: width]', /Unexpected token '\]'|Expected "}" but found "\]"/],
    ['an error in the factory', 'estimators: [', 'estimators: [missing,', 'missing is not defined'],
  ])('%s is said with its file and line', async (name, right, wrong, message) => {
    const text = example.replace(right, wrong);
    const file = write(`${name.replaceAll(' ', '-')}.js`, text);
    const line = text.split('\n').findIndex((it) => it.includes(wrong)) + 1;
    const { code, stderr } = await train('--plugin', file, '--estimator', 'triangle');
    expect(code).toBe(1);
    expect(stderr).toContain('error[E_PLUGIN]');
    expect(stderr).toMatch(message);
    const [, place, source] = /\n {2}at (.+?:\d+):\d+: (.+)\n/.exec(stderr) ?? [];
    expect(place).toBe(`${file}:${line}`);
    expect(source).toBe(text.split('\n')[line - 1]!.trim());
    expect(existsSync(join(folder, 'never'))).toBe(false);
  });

  it.each([
    ['of its file', 'await new Promise(() => {});'],
    ['of its factory', 'export default () => new Promise(() => {});'],
  ])('a promise %s that is never settled is said', async (name, text) => {
    const file = write(`never-${name.length}.mjs`, text);
    const { code, stderr } = await train('--plugin', file);
    expect(code).toBe(1);
    expect(stderr).toContain('error[E_PLUGIN] bnn-train: a promise that is waited for is never settled');
  });
});
