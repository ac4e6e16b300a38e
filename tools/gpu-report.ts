/**
 * Tables of what tools/gpu-check.sh measured:
 *
 *     npx tsx tools/gpu-report.ts build/gpu-check/gpu-check.jsonl [--write docs/gpu.md]
 *
 * Prints Markdown; with `--write` it goes into the file, between the lines `<!-- gpu-report -->` and `<!-- end of gpu-report -->`.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

interface Line {
  readonly step: string;
  readonly status: string;
  readonly seconds?: number;
  readonly events?: readonly Event[];
  readonly text?: string;
  readonly errors?: string;
}

type Event = Readonly<Record<string, unknown>>;
type Row = readonly string[];

interface Group {
  readonly name: string;
  readonly count: number;
  readonly ms: number;
  readonly bytes: number;
  readonly multiplyAdds: number;
  readonly leastMs: number | null;
}

const BEGIN = '<!-- gpu-report -->';
const END = '<!-- end of gpu-report -->';
/** The status of a step that needs something which the machine does not have. */
const NOT_HERE = 'not here';
/** The costliest; the rest is in the file. */
const MOST_KERNELS = 12;

/** @param text  lines of JSON, as gpu-check.sh wrote them. */
export function formatReport(text: string): string {
  const lines = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Line);
  const parts = [
    machine(lines),
    steps(lines),
    kernels(lines),
    tensorCores(lines),
    training(lines),
    profiles(lines),
    epochs(lines),
    models(lines),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function table(titles: Row, rows: readonly Row[]): string {
  if (rows.length === 0) return '';
  const widths = titles.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: Row) => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(titles), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n');
}

function titled(title: string, body: string): string {
  return body === '' ? '' : `${title}\n\n${body}`;
}

function stepNamed(lines: readonly Line[], name: string): Line | undefined {
  return lines.find(({ step }) => step === name);
}

function eventsOf(line: Line | undefined, name?: string): readonly Event[] {
  return (line?.events ?? []).filter(({ event }) => name === undefined || event === name);
}

const number = (value: unknown, digits = 1): string =>
  typeof value === 'number' && Number.isFinite(value) ? value.toFixed(digits) : '-';
const percent = (value: unknown): string => (typeof value === 'number' ? `${(100 * value).toFixed(1)} %` : '-');

function machine(lines: readonly Line[]): string {
  const [device] = eventsOf(stepNamed(lines, 'kernels'), 'device');
  const text = stepNamed(lines, 'machine')?.text?.split('\n')[0] ?? '';
  const peaks =
    device === undefined
      ? ''
      : `${String(device['device'])}: ${number(device['peakGflops'])} Gflop/s of multiply-adds in registers, ${number(device['peakGBs'])} GB/s of memory.`;
  return [text.includes(',') ? `GPU: ${text}.` : '', peaks].filter(Boolean).join(' ');
}

/** What did not end well. */
function steps(lines: readonly Line[]): string {
  const tried = lines.filter(({ status }) => status !== NOT_HERE);
  const failed = tried.filter(({ status }) => status !== 'ok');
  const rows = failed.map(({ step, status, errors = '' }) => [
    step,
    status,
    (errors.trim().split('\n').at(-1) ?? '').slice(0, 120).replaceAll('|', '\\|'),
  ]);
  const title = `${tried.length - failed.length} of ${tried.length} steps went through.`;
  return rows.length === 0 ? title : titled(title, table(['step', 'status', 'last word'], rows));
}

function kernels(lines: readonly Line[]): string {
  const rows = eventsOf(stepNamed(lines, 'kernels'), 'kernel').map(({ shape, ms, shares }) => [
    String(shape),
    ...(ms as number[]).map((value, i) => `${number(value, 3)} ms (${percent((shares as number[])[i])})`),
  ]);
  return titled(
    'Convolutions, and their share of the peak:',
    table(['layer', 'forward', 'input gradient', 'filter gradient'], rows),
  );
}

/** Times of both gradients by the ordinary kernels and by tensor cores, and how far their results lie apart. */
function tensorCores(lines: readonly Line[]): string {
  const line = stepNamed(lines, 'tensor-cores');
  if (line?.status === NOT_HERE) return `Tensor cores: ${line.text}.`;
  const rows = eventsOf(line, 'gradients').map(({ shape, ms, apart }) => [
    String(shape),
    ...(ms as number[][]).map(([plain, cores], i) => {
      const distance = (apart as number[])[i];
      return `${number(plain, 3)} → ${number(cores, 3)} ms, ${distance?.toExponential(1) ?? '-'} apart`;
    }),
  ]);
  const [matrices] = eventsOf(line, 'matrices');
  return titled(
    `Gradients of binary layers by tensor cores (${String(matrices?.['m'])}×${String(matrices?.['n'])}×${String(matrices?.['k'])}) instead of the ordinary kernels:`,
    table(['layer', 'input gradient', 'filter gradient'], rows),
  );
}

function training(lines: readonly Line[]): string {
  const rows = lines.flatMap((line): Row[] => {
    if (!line.step.startsWith('train-')) return [];
    const [found] = eventsOf(line, 'case');
    if (found === undefined) return [];
    const model = line.step.slice('train-'.length);
    const theirs = (precision: string) => {
      const speeds = eventsOf(stepNamed(lines, `pytorch-${model}-${precision}`)).map((event) =>
        Number(event['imagesPerSecond']),
      );
      return speeds.length === 0 ? '-' : number(Math.max(...speeds), 0);
    };
    return [
      [
        line.step.endsWith('-tensor-cores') ? `${String(found['name'])}, tensor cores` : String(found['name']),
        number(found['imagesPerSecond'], 0),
        number(found['medianMs'], 2),
        percent(found['peakShare']),
        number(found['peakMiB'], 0),
        ...['fp32', 'tf32', 'bf16'].map(theirs),
      ],
    ];
  });
  const titles = ['network', 'images/s', 'ms a step', 'of peak', 'MiB', 'PyTorch fp32', 'tf32', 'bf16 channels-last'];
  return titled('Training, and PyTorch on the same GPU (images/s):', table(titles, rows));
}

function profiles(lines: readonly Line[]): string {
  return lines
    .flatMap((line) => {
      const [profile] = eventsOf(line, 'profile');
      if (profile === undefined) return [];
      const groups = profile['kernels'] as Group[];
      const total = Number(profile['ms']);
      const rows = groups
        .slice(0, MOST_KERNELS)
        .map(({ name, count, ms, bytes, multiplyAdds, leastMs }) => [
          name,
          String(count),
          number(ms, 3),
          percent(ms / total),
          number(bytes / 1e6, 0),
          multiplyAdds === 0 ? '' : number(multiplyAdds / 1e9, 2),
          number(leastMs, 3),
        ]);
      const title = `A step of ${line.step.slice('train-'.length)}: ${String(profile['commands'])} commands, each alone ${number(total, 2)} ms:`;
      return [titled(title, table(['kernel', 'calls', 'ms', 'share', 'MB', 'G multiply-adds', 'least ms'], rows))];
    })
    .join('\n\n');
}

function epochs(lines: readonly Line[]): string {
  const rows = lines.flatMap((line): Row[] =>
    line.step.startsWith('mnist-')
      ? eventsOf(line, 'epoch').map((epoch) => [
          line.step.slice('mnist-'.length),
          String(epoch['epoch']),
          number(epoch['trainLoss'], 4),
          percent(epoch['testTop1']),
          number(epoch['seconds'], 1),
        ])
      : [],
  );
  return titled('Two epochs of MNIST:', table(['backend', 'epoch', 'loss', 'test top-1', 'seconds'], rows));
}

function models(lines: readonly Line[]): string {
  const rows = lines.flatMap((line): Row[] => {
    if (!line.step.startsWith('validate-')) return [];
    const ep = line.step.slice('validate-'.length);
    const [result] = eventsOf(line, 'result');
    if (result === undefined) return [[ep, line.status, '', '', '', '']];
    const speeds = eventsOf(stepNamed(lines, `model-${ep}`), 'case').map(
      ({ batch, medianMs }) => `${String(batch)}: ${number(medianMs, 3)}`,
    );
    return [
      [
        ep,
        String(result['images']),
        percent(result['agreement']),
        typeof result['maxLogitDifference'] === 'number' ? result['maxLogitDifference'].toExponential(1) : '-',
        Object.entries((result['nodes'] ?? {}) as Record<string, number>)
          .map(([provider, count]) => `${count} on ${provider}`)
          .join(', '),
        speeds.join(', '),
      ],
    ];
  });
  return titled(
    'A packed model, beside the CPU:',
    table(['--ep', 'pictures', 'agreement', 'logits apart', 'nodes', 'ms by batch'], rows),
  );
}

/** @throws {Error} when the file has no place for it. */
export function insertReport(page: string, report: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the file has no lines ${BEGIN} and ${END}`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${report}\n\n${page.slice(end)}`;
}

if (process.argv[1]?.endsWith('gpu-report.ts') === true) {
  const { values, positionals } = parseArgs({ options: { write: { type: 'string' } }, allowPositionals: true });
  const [path] = positionals;
  if (path === undefined) throw new Error('give the file of JSON lines that tools/gpu-check.sh wrote');
  const report = formatReport(readFileSync(path, 'utf8'));
  if (values.write === undefined) console.log(report);
  else writeFileSync(values.write, insertReport(readFileSync(values.write, 'utf8'), report));
}
