/** Measures the figures of a model card again and compares them: the work of `tools/validate-*.ts`. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EXIT_FAILED, printError } from '../../src/cli/print-error.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { BnnError } from '../../src/errors.ts';
import { findModel } from '../../src/inference/model-source-io.ts';
import { formatPercent } from '../../src/report/format.ts';
import { formatBar } from '../../src/report/progress.ts';
import { formatTable } from '../../src/report/table.ts';
import { describeMachine } from '../../src/tasks/machine.ts';
import { parseRecipe } from '../../src/training/recipes/parse-recipe.ts';
import { CARD_FILES, type ModelCard, readCard } from './card.ts';
import { FIGURE_NAMES, FIGURES, type FigureName, type Figures, formatFigure, measureFigures } from './figures.ts';

interface Row {
  readonly figure: FigureName;
  readonly card: string | number | null;
  readonly reproduced: string | number | null;
  /** Null where it was not measured, here or for the card. */
  readonly equal: boolean | null;
  readonly reason: string | null;
}

/**
 * Runs a tool that validates the cards of one data set; sets the exit code: 0 when every figure that can be measured here is
 * that of the card, 1 when one is not or something fails, 2 for a wrong command line.
 */
export async function runValidation(tool: string, dataset: string, args: readonly string[]): Promise<void> {
  const json = args.includes('--json');
  const terminal = new Terminal({ json });
  try {
    const { folder, data, latent } = parseOptions(tool, args);
    const card = await readCard(folder);
    if (card.recipe.fields.dataset !== dataset) {
      throw new BnnError(
        'E_USAGE',
        `the model is for ${card.recipe.fields.dataset}, ${tool} validates models for ${dataset}`,
        {
          at: join(folder, CARD_FILES.card),
        },
      );
    }
    const rows = await compareWithCard(card, { folder, data, latent, terminal });
    const differ = rows.filter(({ equal }) => equal === false);
    terminal.event('result', { folder, figures: rows, differ: differ.length });
    terminal.result(formatRows(rows, card, differ.length));
    if (differ.length > 0) process.exitCode = EXIT_FAILED;
  } catch (error) {
    process.exitCode = printError(error, tool, terminal);
  }
}

interface Request {
  readonly folder: string;
  readonly data: string | undefined;
  /** A run folder or a latent file. */
  readonly latent: string | undefined;
}

function parseOptions(tool: string, args: readonly string[]): Request {
  const usage = `npx tsx tools/${tool}.ts models/NAME [--data DIR] [--latent RUN_OR_FILE] [--json]`;
  const parse = () => {
    try {
      return parseArgs({
        args: [...args],
        allowPositionals: true,
        options: { data: { type: 'string' }, latent: { type: 'string' }, json: { type: 'boolean' } },
      });
    } catch (error) {
      throw new BnnError('E_USAGE', error instanceof Error ? error.message : String(error), { hint: usage });
    }
  };
  const { values, positionals } = parse();
  const [folder, ...more] = positionals;
  if (folder === undefined || more.length > 0) {
    throw new BnnError('E_USAGE', `${positionals.length} folders given, expected one`, { hint: usage });
  }
  return { folder, data: values.data, latent: values.latent };
}

async function compareWithCard(
  card: ModelCard,
  { folder, data, latent, terminal }: Request & { readonly terminal: Terminal },
): Promise<Row[]> {
  const { figures, reasons, notes } = await measureFigures({
    model: join(folder, CARD_FILES.model),
    latent: await findLatent(card, folder, latent),
    recipe: parseRecipe([{ ...card.recipe.fields }]),
    data,
    onProgress: ({ images, total, top1 }) =>
      terminal.live(() => `${formatBar(images / total)}  ${images}/${total}  top-1 ${formatPercent(top1)}`),
  });
  terminal.clearLive();
  for (const note of notes) terminal.note(`note: ${note}`);
  return compareFigures(card.figures, figures, reasons);
}

function compareFigures(
  card: Figures,
  reproduced: Figures,
  reasons: Readonly<Partial<Record<FigureName, string>>>,
): Row[] {
  return FIGURE_NAMES.map((figure) => {
    const [wanted, found] = [card[figure], reproduced[figure]];
    const reason = wanted === found ? undefined : wanted === null ? 'the card does not tell' : reasons[figure];
    const equal = wanted !== null && wanted === found ? true : wanted === null || reason !== undefined ? null : false;
    return { figure, card: wanted, reproduced: found, equal, reason: reason ?? null };
  });
}

/** @throws {BnnError} E_FORMAT when the latent form is not the one of the card. */
async function findLatent(card: ModelCard, folder: string, given: string | undefined): Promise<string | undefined> {
  const beside = join(folder, CARD_FILES.latent);
  if (given === undefined && !existsSync(beside)) return undefined;
  const { path } = await findModel(given ?? beside);
  const sha256 = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  if (sha256 === card.latent.sha256) return path;
  throw new BnnError(
    'E_FORMAT',
    `this latent form has the sha256 ${sha256}, that of the card has ${card.latent.sha256}`,
    {
      at: path,
      hint: 'give the run that the card was made from, or leave --latent out',
    },
  );
}

function formatRows(rows: readonly Row[], card: ModelCard, differ: number): string {
  const lines = rows.map(({ figure, card: wanted, reproduced, equal, reason }) => [
    FIGURES[figure].label,
    short(formatFigure(figure, wanted)),
    short(formatFigure(figure, reproduced)),
    equal === null ? (reason ?? '') : equal ? 'equal' : 'DIFFERS',
  ]);
  const titles = ['figure', 'card', 'reproduced', ''].map((title) => ({ title }));
  const same = rows.filter(({ equal }) => equal === true).length;
  const machine = new Map(describeMachine());
  const { processor, instructions } = card.hardware;
  const isOther = machine.get('processor') !== processor || machine.get('instructions') !== instructions;
  const hint =
    differ > 0 && isOther
      ? `\nthe card was made on ${processor} (${instructions}); other instructions round sums differently`
      : '';
  return `${formatTable(titles, lines)}\n\n${same} of ${rows.length} figures equal, ${differ} differ${hint}`;
}

/** Digests are told apart by their first digits. */
function short(text: string): string {
  return /^[0-9a-f]{64}$/.test(text) ? `${text.slice(0, 12)}…` : text;
}
