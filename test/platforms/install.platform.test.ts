import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingRegistry, type Registry, startRegistry } from './local-registry.ts';
import { nodeOf, PACKAGE_MANAGERS } from './package-managers.ts';
import { fail, makeProject, megabytes, succeed, useIt } from './project.ts';

/**
 * Empty projects that install the packages as they are published, from a registry on this machine: with each package manager, no
 * compiler on PATH, no cache, and scripts as the manager treats them. BNN_TEST_MANAGERS=REGEXP takes some of them.
 */

const missing = missingRegistry();
const wanted = new RegExp(process.env['BNN_TEST_MANAGERS'] ?? '');
const isOld = Number(process.versions.node.split('.')[0]) < 22;

describe.skipIf(missing !== undefined)(`installed from a registry${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let home: string;
  let registry: Registry;
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'bnn-install-'));
    registry = await startRegistry();
    if (!registry.isReleased) console.log("the platform's package is made of build/: tools/release.mjs was not run");
  });
  afterAll(() => {
    registry?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  for (const { name, needsNode22, files, add, run } of PACKAGE_MANAGERS.filter((one) => wanted.test(one.name))) {
    it(`${name}: installs, trains natively, exports, validates, predicts`, async () => {
      const place = join(home, name.replaceAll(/\W+/g, '-'));
      const node = needsNode22 && isOld ? nodeOf(22) : process.execPath;
      const project = makeProject(place, node, files?.(registry.url));
      const command = add('bnn-toolchain', registry.url);
      const start = performance.now();
      succeed(project, command);
      const seconds = (performance.now() - start) / 1000;
      const size = megabytes(join(project.folder, 'node_modules')).files;
      console.log(`${name}: ${seconds.toFixed(0)} s, node_modules ${size.toFixed(0)} MB`);
      await useIt(project, run);
      // What takes more than the registry says so.
      const native = fail(project, [...run('bnn'), 'setup', 'native']);
      expect(native).toMatch(/error\[E_BACKEND\].*could not be built: .*no C\+\+ compiler[\s\S]*hint: install g\+\+/);
      const onnxruntime = fail(project, [...run('bnn'), 'setup', 'onnxruntime']);
      expect(onnxruntime).toMatch(/error\[E_BACKEND\].*npm cannot be started[\s\S]*hint: put npm on PATH/);
    });
  }
});
