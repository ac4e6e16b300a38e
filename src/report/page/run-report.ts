/** What runs have learned, on one page: it loads nothing and needs no script. */

import { inlinePanel, type LinePanel } from '../plot-lines.ts';
import type { Column } from '../table.ts';
import { type ComparedLayers, comparedLayersHtml } from './compared-layers-html.ts';
import { gallery, type ShownMistake } from './gallery.ts';
import {
  type CellContent,
  details,
  escapeHtml,
  figures,
  type Html,
  note,
  page,
  quiet,
  type Section,
  sections,
  table,
} from './html.ts';
import { type IndicatorTable, indicatorsHtml } from './indicators-html.ts';
import { type LayerTable, layersHtml } from './layers-html.ts';

/** Names and values; the same names in all runs, where they have them. */
export type Facts = readonly (readonly [name: string, value: string])[];

export interface ReportedRun {
  readonly name: string;
  readonly folder: string;
  /** What stands out. */
  readonly figures: Facts;
  readonly summary: Facts;
  /** What is missing and why. */
  readonly notes: readonly string[];
  readonly mistakes: readonly ShownMistake[];
  /** How many there are; null where the pictures were not classified. */
  readonly mistakeCount: number | null;
  readonly layers: LayerTable | null;
  readonly indicators: IndicatorTable | null;
  readonly recipe: Facts;
  /** Names of fields that are at their defaults. */
  readonly defaults: ReadonlySet<string>;
  /** Null where it was not recorded. */
  readonly environment: Facts | null;
}

/** What runs of several seeds say together: a row a recipe. */
export interface ComparedRecipes {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  /** How to read the table. */
  readonly remarks: readonly string[];
}

export interface RunReport {
  readonly title: string;
  readonly subtitle: string;
  /** What holds for the page as a whole. */
  readonly notes: readonly string[];
  readonly panels: readonly LinePanel[];
  readonly comparisons: readonly ComparedRecipes[];
  readonly comparedLayers: readonly ComparedLayers[];
  readonly runs: readonly ReportedRun[];
  /** Which classes are taken for which. */
  readonly confusion: readonly Section[];
  /** Last words: when and with what the page was made. */
  readonly footer: string;
}

export function runReport(report: RunReport): Html {
  const { title, subtitle, notes, panels, comparisons, comparedLayers, runs, confusion, footer } = report;
  const { nav, html } = sections([
    { id: 'comparison', title: 'Comparison', html: comparisons.map(comparison).join('\n') },
    {
      id: 'compared-layers',
      title: 'Layer by layer',
      html: comparedLayers.map((one, i) => comparedLayersHtml(one, i === 0)).join('\n'),
    },
    { id: 'curves', title: 'Curves', html: curves(panels) },
    ...confusion,
    { id: 'mistakes', title: 'The most confident mistakes', html: mistakes(runs) },
    {
      id: 'layers',
      title: 'Layers',
      html: layersOf(runs),
    },
    { id: 'indicators', title: 'Indicators', html: indicators(runs) },
    { id: 'recipe', title: 'Recipe', html: recipes(runs) },
    { id: 'environment', title: 'Environment', html: environments(runs) },
  ]);
  const [only] = runs;
  const opening = runs.length === 1 && only !== undefined ? figures(only.figures) : '';
  return page({
    title,
    body: [
      `<header><h1>${escapeHtml(title)}</h1>`,
      `<p class="quiet">${escapeHtml(subtitle)}</p>`,
      ...notes.map(note),
      ...runs.flatMap((run) => run.notes.map((text) => note(runs.length > 1 ? `${run.name}: ${text}` : text))),
      opening,
      `${nav}</header>`,
      '<main>',
      summary(runs),
      html,
      '</main>',
      `<footer><p>${escapeHtml(footer)}</p></footer>`,
    ].join('\n'),
  });
}

function summary(runs: readonly ReportedRun[]): Html {
  const whole = sideBySide(runs, 'summary', ({ summary: facts }) => facts);
  return `<section id="summary" aria-labelledby="summary-title"><h2 id="summary-title">Summary</h2>\n${whole}\n</section>`;
}

function comparison({ name, columns, rows, remarks }: ComparedRecipes): Html {
  const cells = (texts: readonly string[]): CellContent[] =>
    texts.map((text, i) => ({ html: escapeHtml(text), className: columns[i]?.align === 'right' ? '' : 'text' }));
  const head = cells(columns.map(({ title }) => title));
  const whole = table({ label: `comparison ${name}`, head, rows: rows.map(cells) });
  return whole + remarks.map((remark) => quiet(remark)).join('\n');
}

function curves(panels: readonly LinePanel[]): Html {
  if (panels.length === 0) return quiet('No epoch is complete yet.');
  return `<div class="plots">${panels.map(inlinePanel).join('\n')}</div>`;
}

function mistakes(runs: readonly ReportedRun[]): Html {
  return perRun(runs, ({ mistakes: shown, mistakeCount: count }) => {
    if (count === null) return null;
    if (count === 0) return quiet('There are none.');
    const which =
      shown.length < count
        ? `${shown.length} of ${count} pictures that were taken for something else`
        : `All ${count} pictures that were taken for something else`;
    return `${quiet(`${which}, those first of which the network is most certain. In brackets: how probable it finds each class.`)}\n${gallery(shown)}`;
  });
}

/** What is the same of all is said once. */
function layersOf(runs: readonly ReportedRun[]): Html {
  const remarks = new Set(runs.flatMap(({ layers }) => layers?.remark ?? []));
  const [shared = ''] = remarks.size === 1 ? remarks : [];
  const tables = perRun(runs, ({ layers, name }) => {
    if (layers === null) return null;
    const own = shared === '' ? quiet(layers.remark) : '';
    return own + layersHtml(layers, `layers of ${name}`);
  });
  return tables === '' ? '' : (shared === '' ? '' : quiet(shared)) + tables;
}

function indicators(runs: readonly ReportedRun[]): Html {
  const shown = perRun(runs, ({ indicators: found, name }) => found && indicatorsHtml(found, `indicators of ${name}`));
  const missing = runs.filter((run) => run.indicators === null).map(({ name }) => name);
  if (missing.length === 0) return shown;
  const who = runs.length === 1 ? 'This run has' : `${missing.join(', ')} ${missing.length === 1 ? 'has' : 'have'}`;
  return `${shown}\n${quiet(`${who} none: they are measured with bnn-train --indicators, in networks with binary weights.`)}`;
}

function recipes(runs: readonly ReportedRun[]): Html {
  const isChosen = (name: string): boolean => runs.some(({ defaults }) => !defaults.has(name));
  const part = (chosen: boolean): Html =>
    sideBySide(runs, chosen ? 'recipe' : 'fields of the recipe at their defaults', ({ recipe }) =>
      recipe.filter(([name]) => isChosen(name) === chosen),
    );
  const rest = part(false);
  const marked = runs.length > 1 ? quiet('Fields marked ≠ differ between the runs.') : '';
  return [marked, part(true), rest === '' ? '' : details('Fields at their defaults', rest)].join('\n');
}

function environments(runs: readonly ReportedRun[]): Html {
  if (runs.every(({ environment }) => environment === null))
    return quiet('No environment was recorded with these runs.');
  return sideBySide(runs, 'environment', ({ environment }) => environment ?? []);
}

/** A column a run, a row a fact; those that differ are marked, and come first. */
function sideBySide(runs: readonly ReportedRun[], label: string, factsOf: (run: ReportedRun) => Facts): Html {
  const columns = runs.map((run) => new Map(factsOf(run)));
  const names = [...new Set(columns.flatMap((facts) => [...facts.keys()]))];
  if (names.length === 0) return '';
  const differs = (name: string): boolean => new Set(columns.map((facts) => facts.get(name))).size > 1;
  const isSummary = label === 'summary';
  const order = isSummary ? names : [...names.filter(differs), ...names.filter((name) => !differs(name))];
  return table({
    label,
    head: [
      label === 'summary' ? 'run' : 'field',
      ...runs.map(({ name }) => ({ html: escapeHtml(name), className: 'text' })),
    ],
    rows: order.map((name) => [
      name,
      ...columns.map((facts) => ({ html: escapeHtml(facts.get(name) ?? '-'), className: 'text long' })),
    ]),
    rowClass: (i) => (!isSummary && differs(order[i] ?? '') ? 'differs' : ''),
  });
}

/** The same of each run, under its name where there are several. */
function perRun(runs: readonly ReportedRun[], part: (run: ReportedRun) => Html | null): Html {
  return runs
    .flatMap((run) => {
      const html = part(run);
      if (html === null) return [];
      return runs.length > 1 ? [`<h3>${escapeHtml(run.name)}</h3>\n${html}`] : [html];
    })
    .join('\n');
}
