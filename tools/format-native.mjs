// The style of the C++ sources (.clang-format): checked, or written with --write. Other versions of clang-format break lines elsewhere.
import { spawnSync } from 'node:child_process';

const VERSION = '14';
const found = spawnSync('clang-format', ['--version'], { encoding: 'utf8' });
const version = /version (\d+)/.exec(found.stdout ?? '')?.[1];
if (version !== VERSION) {
  console.log(
    `style of native/ not checked: it wants clang-format ${VERSION}, ${version ? `here is ${version}` : 'none is here'}`,
  );
  process.exit(0);
}
const files = spawnSync('git', ['ls-files', 'native/*.cc', 'native/*.h'], { encoding: 'utf8' })
  .stdout.split('\n')
  .filter(Boolean);
const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '-Werror'];
process.exit(spawnSync('clang-format', [...mode, ...files], { stdio: 'inherit' }).status ?? 1);
