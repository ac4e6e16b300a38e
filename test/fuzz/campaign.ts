/** Mutated inputs in a process of their own, so that what kills, hangs or swells it is found too. */

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** One input that ended in something other than a result or an error of ours. */
export interface Finding {
  readonly at: number;
  readonly kind: 'fault' | 'crash' | 'hang' | 'memory';
  readonly text: string;
}

export interface Campaign {
  readonly target: string;
  readonly seed: number;
  readonly count: number;
}

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));
/** Processor time that one input may take, and time in all: what waits takes none. */
const MOST_SECONDS = 10;
const MOST_WAIT_MS = 60_000;
const MOST_BYTES = 2 ** 30;
const TICKS_PER_SECOND = 100;
const MOST_FINDINGS = 20;

/** Runs `count` inputs; an input that ends the process is a finding, and the next process goes on behind it. */
export async function runCampaign({ target, seed, count }: Campaign): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (let from = 0; from < count && findings.length < MOST_FINDINGS; ) {
    const { at, ended } = await watch(target, seed, from, count, findings);
    if (ended === undefined) break;
    findings.push(ended);
    from = at + 1;
  }
  return findings;
}

async function watch(
  target: string,
  seed: number,
  from: number,
  count: number,
  findings: Finding[],
): Promise<{ readonly at: number; readonly ended?: Finding }> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, target, String(seed), String(from), String(count)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  let [at, secondsBefore, since, stderr] = [from, 0, performance.now(), ''];
  let killed: Finding['kind'] | undefined;
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-4000);
  });
  createInterface(child.stdout).on('line', (line) => {
    const said = JSON.parse(line) as { readonly at: number; readonly fault?: string };
    at = said.at;
    since = performance.now();
    secondsBefore = usage(child.pid)?.seconds ?? secondsBefore;
    if (said.fault !== undefined) findings.push({ at, kind: 'fault', text: said.fault });
  });
  const timer = setInterval(() => {
    const now = usage(child.pid);
    if (now === undefined) return;
    if (now.bytes > MOST_BYTES) killed = 'memory';
    else if (now.seconds - secondsBefore > MOST_SECONDS || performance.now() - since > MOST_WAIT_MS) killed = 'hang';
    if (killed !== undefined) child.kill('SIGKILL');
  }, 100);
  const code = await closed;
  clearInterval(timer);
  if (code === 0) return { at };
  return { at, ended: { at, kind: killed ?? 'crash', text: stderr } };
}

/** Memory and processor time of a process, as Linux tells them; undefined elsewhere and once it has ended. */
function usage(pid: number | undefined): { readonly bytes: number; readonly seconds: number } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    return { bytes: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024, seconds };
  } catch {
    return undefined;
  }
}
