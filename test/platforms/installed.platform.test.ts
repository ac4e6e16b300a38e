import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingRegistry, type Registry, startRegistry } from './local-registry.ts';
import { NODES, nodeOf, PACKAGE_MANAGERS, type PackageManager } from './package-managers.ts';
import { eventsOf, fail, giveNpm, makeProject, megabytes, type Project, succeed, train, useIt } from './project.ts';

/** The published package in projects of its users: its size, other releases of Node, and what `bnn setup` adds. */

const missing = missingRegistry();

describe.skipIf(missing !== undefined)(`installed${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let home: string;
  let registry: Registry;
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'bnn-installed-'));
    registry = await startRegistry();
  });
  afterAll(() => {
    registry?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  const manager = (name: string) => PACKAGE_MANAGERS.find((one) => one.name.startsWith(name)) as PackageManager;
  const npm = manager('npm 11, --ignore-scripts');

  function install(name: string, { files, add }: PackageManager = npm, node?: string): Project {
    const project = makeProject(join(home, name), node, files?.(registry.url));
    succeed(project, add('bnn-toolchain', registry.url));
    return project;
  }

  it('takes at most 120 MB, and 395 MB with onnxruntime-node, which is then used', () => {
    const project = install('sizes');
    const alone = megabytes(join(project.folder, 'node_modules'));
    succeed(project, npm.add('onnxruntime-node@1.30.0', registry.url));
    const both = megabytes(join(project.folder, 'node_modules'));
    for (const [name, { files, blocks }] of Object.entries({ alone, 'with onnxruntime-node': both })) {
      console.log(`node_modules, ${name}: ${files.toFixed(0)} MB, on the disk ${blocks.toFixed(0)} MB`);
    }
    expect(alone.files).toBeLessThan(120);
    expect(both.files).toBeLessThan(395);
    const doctor = succeed(project, [...npm.run('bnn'), 'doctor']);
    expect(doctor).toMatch(/^onnxruntime +onnxruntime-node 1\.30\.0$/m);
    expect(doctor).toMatch(/operator library +works/);
  });

  it.each(Object.keys(NODES).map(Number) as (keyof typeof NODES)[])('runs on Node %i', async (release) => {
    await useIt(install(`node-${release}`, npm, nodeOf(release)), npm.run);
  });

  it('bnn setup onnxruntime brings the native one, which runs packed files with our operators; cuda says what it lacks', () => {
    const project = install('onnxruntime');
    const env = giveNpm(project, registry.url);
    train(project, npm.run, 'run', /prebuilt/);
    succeed(project, [...npm.run('bnn-export'), 'run', '-o', 'packed.onnx']);
    const validate = (...args: string[]) =>
      eventsOf(
        succeed(project, [
          ...npm.run('bnn-validate'),
          ...['packed.onnx', '--dataset', 'mnist', '--limit', '500', '--json'],
          ...args,
        ]),
      ).at(-1);
    const before = validate();
    const said = succeed(project, [...npm.run('bnn'), 'setup', 'onnxruntime'], env);
    expect(said).toMatch(/^onnxruntime-node 1\.\d+\.\d+, in .*\/\.cache\/bnn-toolchain\/peers\/onnxruntime\//);
    expect(succeed(project, [...npm.run('bnn'), 'doctor'])).toMatch(/^onnxruntime +onnxruntime-node 1\./m);
    expect(validate()).toMatchObject({ engine: 'onnxruntime', top1: before?.['top1'] });
    expect(validate('--ops', 'off')).toMatchObject({ engine: 'onnxruntime', top1: before?.['top1'] });
    expect(succeed(project, [...npm.run('bnn'), 'setup', 'onnxruntime'], env)).toMatch(/installed; nothing to do/);
    // No server listens there, wherever this runs.
    const nowhere = { ...env, HTTPS_PROXY: 'http://127.0.0.1:9' };
    const cuda = fail(project, [...npm.run('bnn'), 'setup', 'cuda'], nowhere);
    expect(cuda).toMatch(/error\[E_BACKEND\].*could not fetch the CUDA files: .*(ECONNREFUSED|api\.nuget\.org)/);
    expect(cuda).toMatch(/hint: .*api\.nuget\.org.*bnn setup cuda --from FILE/);
    // Nothing of what works is lost.
    expect(validate()).toMatchObject({ engine: 'onnxruntime', top1: before?.['top1'] });
  });

  it.each(['pnpm 12', 'yarn 4'])('bnn setup native compiles the kernels here, under %s', (name) => {
    const { run } = manager(name);
    const project = install(`native-${name.replace(' ', '-')}`, manager(name));
    const env = { PATH: [join(project.folder, '../bin'), '/usr/bin', '/bin'].join(delimiter) };
    expect(succeed(project, [...run('bnn'), 'setup', 'native'], env)).toMatch(
      /^native kernels for scalar,.*, in .*bnn-toolchain/m,
    );
    train(project, run, 'built', /built here/);
  });
});
