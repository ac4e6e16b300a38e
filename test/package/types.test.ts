import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

/** The main package as it is published, in a strict project that has nothing else, not even the declarations of Node. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bnn-types-'));
  const stage = `import { stageMain } from ${JSON.stringify(join(ROOT, 'tools/stage-packages.mjs'))};
    stageMain(${JSON.stringify(join(folder, 'node_modules/bnn-toolchain'))}, []);`;
  execFileSync(process.execPath, ['--input-type=module', '-e', stage], { stdio: 'pipe' });
  const compilerOptions = { target: 'es2023', module: 'nodenext', strict: true, noEmit: true };
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function compile(program: string): string {
  writeFileSync(join(folder, 'program.ts'), program);
  return spawnSync(process.execPath, [TSC, '-p', folder], { encoding: 'utf8' }).stdout;
}

it('compiles without skipLibCheck', () => {
  const program = `
    import { defaultRecipe, loadDataset, openSession, parseRecipe, setupTensorflow, train } from 'bnn-toolchain';
    import { createSession } from 'bnn-toolchain/web';
    const { testTop1 } = await train(parseRecipe([{ ...defaultRecipe(), model: 'binarynet-mini' }]), {
      out: 'run',
      onStart: ({ backend }) => console.log(backend.name, backend.description, backend.threads + 1),
    });
    const session = await openSession('model.onnx');
    const { data } = await session.run(new Float32Array(4), [1, 4]);
    const sum: number = data.reduce((a, b) => a + b, 0) + testTop1;
    console.log(sum, loadDataset, setupTensorflow, createSession);
    export {};
  `;
  expect(compile(program)).toBe('');
});

it('is not taken for untyped', () => {
  const program =
    "import { openSession } from 'bnn-toolchain';\nexport const wrong: number = openSession('model.onnx');\n";
  expect(compile(program)).toMatch(/program\.ts\(2,14\): error TS2322/);
});
