import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { runProgram } from '../../src/backends/run-program-io.ts';
import { ROOT } from '../cli/spawn-cli.ts';

test('what a program writes, and its status', async () => {
  const script = 'console.log(process.cwd()); console.error(process.env.WHAT_IT_SAYS); process.exit(3)';
  const env = { ...process.env, WHAT_IT_SAYS: 'no' };
  expect(await runProgram(process.execPath, ['-e', script], '/', env)).toEqual({
    status: 3,
    stdout: '/\n',
    stderr: 'no\n',
  });
});

test('a program that goes on is ended when its time is over', async () => {
  const { status } = await runProgram(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], '/', process.env, 0.2);
  expect(status).toBeNull();
});

test('one that cannot be started is an error, and does not keep this process', () => {
  const script = `
    import { runProgram } from './src/backends/run-program-io.ts';
    runProgram('/no/such/program', []).catch((error) => console.log(error.code));
  `;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8', timeout: 50_000 });
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'ENOENT\n' });
});
