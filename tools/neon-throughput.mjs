/**
 * What the inner loop of the NEON kernels takes at least on some processors, by llvm-mca's model of them: `node tools/neon-throughput.mjs`.
 * Wants clang++, llvm-mca and the headers of an aarch64 cross-compiler (Debian: clang, llvm, g++-aarch64-linux-gnu).
 */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const NATIVE = fileURLToPath(new URL('../native/', import.meta.url));
const PROCESSORS = ['cortex-a72', 'cortex-a76', 'apple-m1'];
const FLAGS = ['-std=c++17', '-O3', '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math'];
const ITERATIONS = 200;

function run(command, args, input) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: NATIVE, encoding: 'utf8', input });
  if (status === 0) return stdout;
  console.error(`${command} fails: ${error?.message ?? stderr}`);
  process.exit(2);
}

/** Loops of a text of instructions that have no jump inside: from a label to the jump back to it. */
function loopsOf(assembly) {
  const loops = [];
  let body = null;
  for (const line of assembly.split('\n')) {
    const label = /^(\.\w+):/.exec(line)?.[1];
    if (label !== undefined) body = { label, lines: [] };
    if (body === null || !/^\s+[a-z]/.test(line)) continue;
    body.lines.push(line);
    const target = /^\s+(?:b|b\.\w+|cbn?z|tbn?z)\s.*?(\.\w+)$/.exec(line)?.[1];
    if (target === undefined) continue;
    if (target === body.label) loops.push(body.lines);
    body = null;
  }
  return loops;
}

const countsIn = (loop) => loop.filter((line) => /^\s+cnt\s/.test(line)).length;
const compile = [...FLAGS, '--target=aarch64-linux-gnu', '-I.', '-S', 'kernels/binary_conv/tile_neon.cc', '-o', '-'];
// The loop over words of a whole tile counts most.
const [loop] = loopsOf(run('clang++', compile)).sort((a, b) => countsIn(b) - countsIn(a));
if (loop === undefined || countsIn(loop) === 0) throw new Error('internal: no loop that counts bits');
const products = countsIn(loop);
const vectors = loop.filter((line) => /\bv\d+\./.test(line)).length;
console.log(`${products} times 128 products in ${loop.length} instructions, ${vectors} of them on vectors`);
for (const processor of PROCESSORS) {
  const text = run('llvm-mca', ['-march=aarch64', `-mcpu=${processor}`, `-iterations=${ITERATIONS}`], loop.join('\n'));
  const found = (pattern) => Number(pattern.exec(text)?.[1]);
  const [limit, cycles] = [found(/Block RThroughput: +([\d.]+)/), found(/Total Cycles: +(\d+)/) / ITERATIONS];
  console.log(`${processor}: ${(limit / products).toFixed(2)} cycles, ${(cycles / products).toFixed(2)} with waiting`);
}
