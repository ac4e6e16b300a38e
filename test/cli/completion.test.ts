import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { zooNames } from '../../src/zoo/zoo.ts';
import { runCli } from './spawn-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'bnn-completion-'));
const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const hasBash = has('bash');
const FISH = 'fish';
const scripts: Record<string, string> = {};

beforeAll(async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout, stderr } = await runCli(['completion', shell]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    scripts[shell] = join(folder, shell);
    writeFileSync(scripts[shell], stdout);
  }
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the shell would offer for the last word of a line. */
function complete(line: string): string[] {
  const words = line.split(' ');
  const program = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bnn_complete; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const text = execFileSync('bash', ['--norc', '-c', program, 'bash', scripts['bash'] ?? '', ...words], {
    encoding: 'utf8',
  });
  return text.trim().split('\n');
}

describe.skipIf(!hasBash)(`bash${hasBash ? '' : ' (skipped: there is no bash)'}`, () => {
  it('commands', () => {
    expect(complete('bnn ')).toEqual(expect.arrayContaining(['train', 'export', 'models', 'completion', 'doctor']));
    expect(complete('bnn va')).toEqual(['validate']);
    expect(complete('bnn bench ')).toEqual(expect.arrayContaining(['conv', 'model', 'train', 'web']));
  });

  it('options of a command and of its program, and of a command below it', () => {
    expect(complete('bnn train --est')).toEqual(['--estimator']);
    expect(complete('bnn-train --est')).toEqual(['--estimator']);
    expect(complete('/usr/bin/bnn-train --est')).toEqual(['--estimator']);
    expect(complete('bnn bench train --b')).toContain('--backend');
    expect(complete('bnn export --est')).toEqual(['']);
  });

  it('what an option can be', () => {
    expect(complete('bnn train --estimator re')).toEqual(['reste']);
    expect(complete('bnn-train --out x --model resnet8')).toEqual(
      zooNames().filter((name) => name.startsWith('resnet8')),
    );
    expect(complete('bnn-validate net.onnx --ep cu')).toEqual(['cuda']);
  });

  it('what an argument can be', () => {
    expect(complete('bnn train mnist')).toEqual(['mnist-quickstart']);
    expect(complete('bnn predict cifar10-resnet8')).toEqual(['cifar10-resnet8-bireal', 'cifar10-resnet8-bireal-wide']);
    expect(complete('bnn completion ')).toEqual(['bash', 'zsh', 'fish']);
    expect(complete('bnn setup onnx')).toEqual(['onnxruntime']);
  });

  it('files, where nothing else is known', () => {
    const text = execFileSync('bash', [
      '--norc',
      '-c',
      'source "$1"; complete -p bnn-export',
      'bash',
      scripts['bash'] ?? '',
    ]);
    expect(text.toString()).toBe('complete -o default -F _bnn_complete bnn-export\n');
    expect(complete('bnn-export run')).toEqual(['']);
  });
});

describe.each(['zsh', 'fish'])('%s', (shell) => {
  const isHere = has(shell);
  it.skipIf(!isHere)(`reads the script${isHere ? '' : ` (skipped: there is no ${shell})`}`, () => {
    execFileSync(shell, ['-n', scripts[shell] ?? ''], { stdio: 'pipe' });
  });
});

describe.skipIf(!has(FISH))('fish', () => {
  it('completes', () => {
    const offered = (line: string): string[] =>
      execFileSync(FISH, ['--no-config', '-c', `source ${scripts['fish']}; complete -C '${line}'`], {
        encoding: 'utf8',
      })
        .trim()
        .split('\n')
        .map((text) => text.split('\t')[0] ?? '');
    expect(offered('bnn va')).toEqual(['validate']);
    expect(offered('bnn train --estimator re')).toContain('reste');
    expect(offered('bnn-train --est')).toEqual(['--estimator']);
  });
});
