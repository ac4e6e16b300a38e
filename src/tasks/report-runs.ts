/** A page about one run, or several side by side. */

import { dirname, resolve } from 'node:path';
import { writeFileAtomic } from '../core/files/atomic-file-io.ts';
import { BnnError } from '../errors.ts';
import { LINE_STYLES } from '../report/line-styles.ts';
import { runReport } from '../report/page/run-report.ts';
import type { PluginSource } from '../training/plugins/load-plugin-io.ts';
import { curvesOfRun, curvesOfRuns, describeRun } from '../training/sessions/run-curves.ts';
import { assertWritable } from './output-file.ts';
import { type FoundComparison, findComparison } from './report-comparison-io.ts';
import { confusionParts } from './report-confusion.ts';
import { confusionOf, describeFindings, findRun, type RunFindings } from './report-run.ts';
import { VERSION } from './version.ts';

export interface ReportOptions {
  /** Run folders, or folders of comparisons. */
  readonly runs: readonly string[];
  /** The page. */
  readonly out: string;
  /** Where the data of all runs lie; where each found them unless told. */
  readonly data?: string | undefined;
  /** Parts of one's own, where the data set is among them. */
  readonly plugins?: readonly PluginSource[] | undefined;
  /** Called before each run is looked at. */
  readonly onRun?: ((folder: string) => void) | undefined;
}

export interface WrittenReport {
  readonly file: string;
  readonly bytes: number;
  /** The folders. */
  readonly runs: readonly string[];
  /** What the page says is missing, by run. */
  readonly notes: readonly string[];
}

/** So large a page opens at once anywhere. */
const MOST_BYTES = 2.9e6;
/** Mistakes with pictures on the page, of all runs together. */
const PICTURES = 96;
const MOST_OF_ONE = 48;

/**
 * Writes the page. Where the data of a run are missing, or its network cannot be packed, the page says so and has the rest.
 *
 * @throws {BnnError} E_NOT_FOUND for a folder that holds no run, E_USAGE for more than can be told apart, E_FORMAT for a damaged history.
 */
export async function writeReport({ runs: given, out, data, plugins, onRun }: ReportOptions): Promise<WrittenReport> {
  const notes: string[] = [];
  const comparisons: FoundComparison[] = [];
  const folders: string[] = [];
  for (const folder of given) {
    const comparison = await findComparison(folder);
    if (comparison !== null) comparisons.push(comparison);
    folders.push(...(comparison?.runs ?? [folder]));
    notes.push(...(comparison?.notes ?? []));
  }
  checkCount(folders);
  await assertWritable(out);
  const found: RunFindings[] = [];
  const pictures = Math.min(MOST_OF_ONE, Math.floor(PICTURES / folders.length));
  for (const folder of folders) {
    onRun?.(folder);
    found.push(await findRun(folder, { data, pictures, plugins }));
  }
  const runs = withNames(found);
  const html = await fitting({ runs, comparisons, notes }, pictures);
  await writeFileAtomic(out, html);
  const own = runs.flatMap((run) => run.notes.map((note) => `${run.folder}: ${note}`));
  return { file: out, bytes: Buffer.byteLength(html), runs: folders, notes: [...notes, ...own] };
}

function checkCount(folders: readonly string[]): void {
  if (folders.length === 0) {
    throw new BnnError('E_USAGE', 'no run given', {
      hint: 'give the folder of a run, e.g. bnn report runs/mnist -o report.html',
    });
  }
  if (folders.length > LINE_STYLES) {
    throw new BnnError(
      'E_USAGE',
      `${folders.length} runs are too many to tell apart, at most ${LINE_STYLES} fit on a page`,
      {
        hint: 'name those that are to be compared',
      },
    );
  }
}

/** Names that differ: with the folders above where the last part is the same. */
function withNames(found: readonly RunFindings[]): RunFindings[] {
  const isShared = ({ name }: RunFindings): boolean => found.filter((other) => other.name === name).length > 1;
  return found.map((run) =>
    isShared(run) ? { ...run, name: `${dirname(resolve(run.folder)).split(/[\\/]/).at(-1)}/${run.name}` } : run,
  );
}

/** With fewer pictures where the page would be too large. */
async function fitting(content: Content, pictures: number): Promise<string> {
  const html = await draw(content, pictures);
  if (Buffer.byteLength(html) <= MOST_BYTES || pictures === 0) return html;
  return fitting(content, Math.floor(pictures / 2));
}

interface Content {
  readonly runs: readonly RunFindings[];
  readonly comparisons: readonly FoundComparison[];
  readonly notes: readonly string[];
}

async function draw({ runs, comparisons, notes }: Content, pictures: number): Promise<string> {
  const [first] = runs;
  const isOne = runs.length === 1 && first !== undefined;
  const reported = [];
  for (const run of runs) {
    const described = await describeFindings(run);
    reported.push({ ...described, mistakes: described.mistakes.slice(0, pictures) });
  }
  return runReport({
    title: isOne ? first.name : `${runs.length} runs side by side`,
    subtitle: isOne ? describeRun(first.recipe, first.records.length) : runs.map(({ name }) => name).join(', '),
    notes,
    panels: isOne ? curvesOfRun(first.records) : curvesOfRuns(runs),
    comparisons: comparisons.flatMap(({ folder, table }) => (table === null ? [] : [{ name: folder, ...table }])),
    comparedLayers: comparisons.flatMap(({ layers }) => layers ?? []),
    runs: reported,
    confusion: await confusionParts(runs.flatMap(confusionOf)),
    footer: `Made by bnn report, bnn-toolchain ${VERSION}, on ${new Date().toISOString().slice(0, 10)}. The page loads nothing and sends nothing.`,
  });
}
