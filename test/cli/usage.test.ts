import { expect, test } from 'vitest';
import { EXECUTION_PROVIDERS } from '../../src/inference/provider.ts';
import { RECIPE_FIELDS } from '../../src/training/recipes/recipe.ts';
import { runCli } from './spawn-cli.ts';

const SLOW = 30_000;

test.concurrent.each([
  [['--help'], 'bnn', /Commands:[\s\S]*train[\s\S]*export[\s\S]*validate[\s\S]*inspect[\s\S]*doctor/],
  [['--help'], 'bnn-export', /--form[\s\S]*--verify[\s\S]*--explain[\s\S]*--keep-float/],
  [['--help'], 'bnn-validate', /--dataset[\s\S]*--against[\s\S]*--ep[\s\S]*--limit/],
  [['--help'], 'bnn-inspect', /Usage: bnn-inspect \[options\] <model>[\s\S]*--graph/],
  [['help', 'doctor'], 'bnn', /Usage: bnn doctor \[options\]/],
] as const)(
  '%s of %s',
  async (args, program, expected) => {
    const { code, stdout, stderr } = await runCli(args, { program });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(expected);
    expect(stdout.split('Examples:')[1]?.match(/^ {2}# \w/gm)?.length).toBeGreaterThanOrEqual(3);
    if (program !== 'bnn') expect(stdout).toMatch(/Common options:[\s\S]*General options:[\s\S]*--json/);
  },
  SLOW,
);

test(
  'every field of a recipe is an option of bnn-train',
  async () => {
    const { code, stdout } = await runCli(['--help'], { program: 'bnn-train' });
    expect(code).toBe(0);
    for (const field of Object.keys(RECIPE_FIELDS)) {
      const flag = `  --${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      expect(stdout).toMatch(new RegExp(`^${flag}( |$)`, 'm'));
    }
    expect(stdout).toMatch(
      /Common options:[\s\S]*--resume[\s\S]*Advanced options:[\s\S]*--flip[\s\S]*General options:/,
    );
  },
  SLOW,
);

test(
  '--version',
  async () => {
    const { stdout } = await runCli(['--version']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  },
  SLOW,
);

test.concurrent.each([
  [[], 'bnn: no command given', '--help'],
  [['exprt'], "bnn: unknown command 'exprt'", 'did you mean export?'],
  [['train', '--epoch', '3'], "bnn train: unknown option '--epoch'", 'did you mean --epochs?'],
  [['validate', '--treads', '1', 'x'], "bnn validate: unknown option '--treads'", 'did you mean --threads?'],
  [['train', '--epochs', 'many'], "bnn train: 'many' is no value for --epochs <n>. Expected a number.", '--help'],
  [['train', '--batch-size', '0'], 'bnn train: --batch-size is 0, expected a whole number', ''],
  [['train', '--estimator', 'magic'], 'bnn train: --estimator is "magic", expected one of reste', ''],
  [['train', '--resume'], 'bnn train: --resume needs --out', 'bnn-train --resume --out'],
  [['export'], "bnn export: missing required argument 'source'", '--help'],
  [['export', 'a.onnx'], 'bnn export: no output file given', '-o'],
  [['export', 'a.onnx', '-o', 'b.onnx', '--form', 'zip'], "bnn export: 'zip' is no value for --form <form>", '--help'],
  [['validate', 'a.onnx', '--ep', 'cdua'], "bnn validate: 'cdua' is no value for --ep", 'did you mean cuda?'],
  [['validate', 'a.onnx', '--threads', '99999'], "bnn validate: '99999' is no value for --threads", '--help'],
  [['export', 'a.onnx', '-o', ''], 'bnn export: no output file given', '-o'],
  [['convert', 'a.onnx', '-o', 'b', '--packed', './b'], 'bnn convert: both forms would go into one file', 'another'],
  [['train', 'test'], 'bnn train: this is a folder, expected a recipe', '--dataset image-folder --data test'],
  [['train', 'a.onnx'], 'bnn train: this is a network, expected a recipe', '--init a.onnx'],
  [['validate', 'models/cifar10-resnet8-bireal/model.onnx'], 'bnn validate: no data set given', '--dataset'],
  [['inspect', 'a.onnx', 'b.onnx'], 'bnn inspect: too many arguments', '--help'],
  [['train', '--ste-clip', '2'], 'bnn train: --ste-clip does nothing here: it needs estimator ste', 'leave it out'],
  [['train', '--step-epochs', '2'], 'bnn train: --step-epochs does nothing here', 'leave it out'],
  [['train', '--bop-gamma', '0.1'], 'bnn train: --bop-gamma does nothing here', 'leave it out'],
  [['train', '--temperature', '2'], 'bnn train: --temperature does nothing here', 'leave it out'],
  [['train', '--download'], 'bnn train: --download does nothing here', 'leave it out'],
  [['train', '--backend', 'cpu', '--threads', '2'], 'bnn train: --threads does nothing here', 'leave it out'],
  [['train', '--model', 'resnet20-fp', '--estimator', 'ste'], 'bnn train: --estimator does nothing', 'leave it out'],
  [['compare', '--estimator', 'ede'], 'bnn compare: --estimator does nothing here: it is set by', 'the list'],
  [['compare', '--seed', '3'], 'bnn compare: --seed does nothing here: it is set by what is compared', 'the list'],
  [['compare', '--lr', '1', '--lrs', '1,2'], 'bnn compare: --lr does nothing here', 'the list'],
  [['compare', '--estimators', 'ste,ede', '--o-end', '2'], 'bnn compare: --o-end does nothing here', 'leave it out'],
  [
    ['compare', '--weight-estimator', 'ste', '--activation-estimator', 'ste'],
    'bnn compare: the arms "ste" and "dsq" are the same training',
    '--arm',
  ],
  [['export', 'a', '-o', 'b', '--threads', '2'], 'bnn export: --threads does nothing with packing', '--verify'],
  [['convert', 'a.onnx', '--limit', '2'], 'bnn convert: --limit does nothing with conversion alone', '--verify'],
  [['convert', 'a.onnx', '--pixels', '0..1', '--threads', '1'], 'bnn convert: --pixels and --threads do', '--verify'],
  [['validate', 'a.onnx', '--dataset', 'mnist', '--download'], 'bnn validate: --download does nothing', 'leave'],
  [['validate', 'a.onnx', '--dataset', 'mnist', '--allow-cpu-fallback'], 'bnn validate: --allow-cpu-', 'leave'],
] as const)(
  'usage error: bnn %s',
  async (args, message, hint) => {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`error[E_USAGE] ${message}`);
    if (hint !== '') expect(stderr).toMatch(new RegExp(`\n  hint: .*${hint.replaceAll('?', '\\?')}`));
  },
  SLOW,
);

test(
  'with --json an error is an event too',
  async () => {
    const { code, events, stderr } = await runCli(['inspect', 'nowhere.onnx', '--json']);
    expect(code).toBe(1);
    expect(stderr).toContain('error[E_NOT_FOUND] bnn inspect: ');
    expect(events()).toEqual([
      {
        event: 'error',
        version: 1,
        code: 'E_NOT_FOUND',
        message: 'no such file or folder',
        at: 'nowhere.onnx',
        hint: expect.any(String) as string,
      },
    ]);
  },
  SLOW,
);

test(
  'doctor',
  async () => {
    const { code, events } = await runCli(['doctor', '--json']);
    expect(code).toBe(0);
    const [result] = events();
    const finding = (name: string, works: unknown) => expect.objectContaining({ name, works }) as object;
    expect(result).toMatchObject({
      event: 'result',
      machine: { node: expect.stringContaining(process.versions.node) as string },
      backends: expect.arrayContaining([finding('native', expect.any(Boolean)), finding('cpu', true)]) as object[],
      providers: EXECUTION_PROVIDERS.map((name) => finding(name, name === 'cpu' ? true : expect.any(Boolean))),
      tools: [finding('compiler', expect.any(Boolean))],
    });
    const { backends, providers } = result as Record<string, { works: boolean; hint?: string }[]>;
    for (const { works, hint } of [...backends!, ...providers!]) if (!works) expect(hint).toBeTruthy();
  },
  SLOW,
);
