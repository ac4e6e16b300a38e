import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Registry, startRegistry } from './local-registry.ts';
import { fetchTools, makePath, NODE, NODES, PACKAGE_MANAGERS, type PackageManager } from './package-managers.ts';

/**
 * Empty projects that install the packages as they are published, from a registry on this machine: with each package manager, no
 * compiler on PATH, no cache, and scripts as the manager treats them. BNN_TEST_MANAGERS=REGEXP takes some of them.
 */

const SMALL = ['--limit-train', '2560', '--limit-test', '500', '--epochs', '1'];
const skipped = process.platform === 'linux' && process.arch === 'x64' ? '' : ' (skipped: this is not Linux on x64)';
const wanted = new RegExp(process.env['BNN_TEST_MANAGERS'] ?? '');

let home: string;
let registry: Registry;

interface Project {
  readonly folder: string;
  run(command: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string };
}

/** An empty project with a home and a PATH of its own. */
function makeProject(name: string, node = NODE, files: Readonly<Record<string, string>> = {}): Project {
  const place = join(home, name.replaceAll(/\W+/g, '-'));
  const folder = join(place, 'project');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "name": "empty", "private": true }\n');
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  const env = { PATH: makePath(join(place, 'bin'), node), HOME: place, NO_COLOR: '1', CI: '1', TMPDIR: place };
  return {
    folder,
    run: ([program = '', ...args]) =>
      spawnSync(program, args, { cwd: folder, env, encoding: 'utf8', maxBuffer: 1 << 26 }),
  };
}

function succeed(project: Project, command: readonly string[]): string {
  const { status, stdout, stderr } = project.run(command);
  expect(status, `${command.join(' ')}\n${stdout}\n${stderr}`).toBe(0);
  return stdout;
}

function lastEvent(stdout: string): Record<string, unknown> {
  const line = stdout
    .trim()
    .split('\n')
    .findLast((text) => text.startsWith('{'));
  return JSON.parse(line ?? '') as Record<string, unknown>;
}

/** Megabytes (2^20 bytes) of a folder's files. */
function megabytes(path: string): number {
  const info = lstatSync(path, { throwIfNoEntry: false });
  // Links of pnpm lead to what is counted where it lies.
  if (info === undefined || info.isSymbolicLink()) return 0;
  if (!info.isDirectory()) return info.size / 2 ** 20;
  return readdirSync(path).reduce((sum, name) => sum + megabytes(join(path, name)), 0);
}

/** Trains, exports and validates with what is installed; the last against the run that it was made from. */
function useIt(project: Project, run: PackageManager['run']): void {
  const train = ['--model', 'binarynet-mini', '--dataset', 'mnist', ...SMALL, '--out', 'run'];
  const trained = project.run([...run('bnn-train'), ...train]);
  expect(trained.status, trained.stdout + trained.stderr).toBe(0);
  expect(trained.stderr).toMatch(/native \w+, \d+ threads?, prebuilt in @bnn-toolchain\/linux-x64 \d/);
  succeed(project, [...run('bnn-export'), 'run', '-o', 'packed.onnx', '--verify']);
  const validate = ['packed.onnx', '--dataset', 'mnist', '--limit', '500', '--against', 'run', '--json'];
  const validation = lastEvent(succeed(project, [...run('bnn-validate'), ...validate]));
  expect(validation).toMatchObject({ images: 500, engine: 'wasm', agreement: 1 });
  expect(validation['top1']).toBeGreaterThan(0.5);
  expect(succeed(project, [...run('bnn'), 'doctor'])).toMatch(
    /^onnxruntime +onnxruntime-web 1\.\d+\.\d+ \(WebAssembly/m,
  );
}

describe.skipIf(skipped !== '')(`installed from a registry${skipped}`, () => {
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'bnn-install-'));
    fetchTools();
    registry = await startRegistry();
    if (!registry.isReleased) console.log("the platform's package is made of build/: tools/release.mjs was not run");
  });
  afterAll(() => {
    registry?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  for (const manager of PACKAGE_MANAGERS.filter(({ name }) => wanted.test(name))) {
    it(`${manager.name}: installs, trains natively, exports, validates`, () => {
      const project = makeProject(manager.name, NODE, manager.files?.(registry.url));
      const start = performance.now();
      succeed(project, manager.add('bnn-toolchain', registry.url));
      const seconds = (performance.now() - start) / 1000;
      const size = megabytes(join(project.folder, 'node_modules'));
      console.log(`${manager.name}: ${seconds.toFixed(0)} s, node_modules ${size.toFixed(0)} MB`);
      useIt(project, manager.run);
    });
  }

  const npm = PACKAGE_MANAGERS.find(({ name }) => name === 'npm 11, --ignore-scripts') as PackageManager;

  it('takes at most 120 MB, and 395 MB with onnxruntime-node, which is then used', () => {
    const project = makeProject('sizes');
    succeed(project, npm.add('bnn-toolchain', registry.url));
    const alone = megabytes(join(project.folder, 'node_modules'));
    succeed(project, npm.add('onnxruntime-node@1.30.0', registry.url));
    const both = megabytes(join(project.folder, 'node_modules'));
    console.log(`node_modules: ${alone.toFixed(0)} MB, with onnxruntime-node ${both.toFixed(0)} MB`);
    expect(alone).toBeLessThan(120);
    expect(both).toBeLessThan(395);
    const doctor = succeed(project, [...npm.run('bnn'), 'doctor']);
    expect(doctor).toMatch(/^onnxruntime +onnxruntime-node 1\.30\.0$/m);
    expect(doctor).toMatch(/operator library +works/);
  });

  it.each(Object.entries(NODES))('runs on Node %s', (version, node) => {
    const project = makeProject(`node-${version}`, node);
    succeed(project, npm.add('bnn-toolchain', registry.url));
    useIt(project, npm.run);
  });
});
