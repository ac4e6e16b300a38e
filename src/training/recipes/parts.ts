/** The tables that a run chooses from: those of this project, with a row more for each part of the plug-ins that it is given. */

import { describeValue } from '../../core/describe-value.ts';
import type { Field } from '../../core/field.ts';
import { namesOf } from '../../core/row-named.ts';
import { DATASETS, type DatasetRow } from '../../data/load-dataset.ts';
import { BnnError } from '../../errors.ts';
import { ESTIMATORS, type EstimatorRow } from '../../estimators/table.ts';
import { ZOO, type ZooEntry } from '../../zoo/zoo.ts';
import { OPTIMIZERS, type OptimizerRow } from '../optimizers/optimizer.ts';
import { SCHEDULES, type ScheduleRow } from '../optimizers/schedule.ts';
import { WEIGHT_TRANSFORMS, type WeightTransformRow } from '../optimizers/weight-transform.ts';
import type { AugmentationRow } from '../plugins/augmentation.ts';
import {
  checkedAugmentation,
  checkedDataset,
  checkedEstimator,
  checkedNetwork,
  checkedOptimizer,
  checkedSchedule,
  checkedTransform,
  type PartOrigin,
} from '../plugins/checked-parts.ts';
import { type LoadedPlugin, loadPlugin, type PluginSource } from '../plugins/load-plugin-io.ts';
import { PLUGIN_TOOLS, type Plugin } from '../plugins/plugin.ts';
import { fromPluginError, type PluginFiles } from '../plugins/plugin-errors.ts';
import { BUILT_IN_RULES, type RecipeRules } from './parse-recipe.ts';
import type { RecipeField } from './recipe.ts';
import { CHOICES, type ChoiceKind, fieldsOf, type RowWithFields } from './recipe-choices.ts';

export interface Parts {
  readonly plugins: readonly PluginFiles[];
  readonly rules: RecipeRules;
  readonly estimators: readonly EstimatorRow[];
  readonly networks: ReadonlyMap<string, ZooEntry>;
  readonly datasets: readonly DatasetRow[];
  readonly schedules: readonly ScheduleRow[];
  readonly weightTransforms: readonly WeightTransformRow[];
  readonly optimizers: readonly OptimizerRow[];
  readonly augmentations: readonly AugmentationRow[];
}

/** Without plug-ins. */
export const BUILT_IN: Parts = {
  plugins: [],
  rules: BUILT_IN_RULES,
  estimators: ESTIMATORS,
  networks: ZOO,
  datasets: DATASETS,
  schedules: SCHEDULES,
  weightTransforms: WEIGHT_TRANSFORMS,
  optimizers: OPTIMIZERS,
  augmentations: [],
};

const KINDS = Object.keys(CHOICES) as ChoiceKind[];
const WORDS: Readonly<Record<ChoiceKind, string>> = {
  estimators: 'estimator',
  networks: 'network',
  datasets: 'data set',
  schedules: 'schedule',
  weightTransforms: 'weight transform',
  optimizers: 'optimizer',
  augmentations: 'augmentation',
};
/** Recipe fields that hold a name of a row; networks and augmentations are no choices. */
const CHOICE_FIELDS: Readonly<Partial<Record<ChoiceKind, readonly string[]>>> = {
  estimators: ['estimator', 'weightEstimator', 'activationEstimator'],
  datasets: ['dataset'],
  schedules: ['schedule'],
  weightTransforms: ['weightTransform'],
  optimizers: ['optimizer'],
};

/** A plug-in of this run. */
interface OpenPlugin extends PluginFiles {
  readonly sha256: string;
  readonly rows: Readonly<Record<ChoiceKind, readonly RowWithFields[]>>;
  /** For messages. */
  readonly at: string | undefined;
}

/**
 * Loads plug-ins and makes the tables of one run with them. Nothing is kept from one call to the next.
 *
 * @throws {BnnError} as `loadPlugin`; E_FORMAT for what is no plug-in, E_USAGE where two parts have one name, with both.
 */
export async function openParts(sources: readonly (PluginSource | LoadedPlugin)[] = []): Promise<Parts> {
  if (sources.length === 0) return BUILT_IN;
  const opened: OpenPlugin[] = [];
  for (const source of sources) opened.push(await openPlugin(await loadPlugin(source)));
  refuseTwins(opened);
  const rows = <R>(kind: ChoiceKind, check: (row: never, origin: PartOrigin) => R): R[] =>
    opened.flatMap((plugin) =>
      plugin.rows[kind].map((row) =>
        check(row as never, { what: describePart(kind, row.name, plugin.name), at: plugin.at }),
      ),
    );
  const networks = rows('networks', checkedNetwork).flat();
  const added = { ...namesAdded(opened), networks: networks.map(([name]) => name) };
  const augmentations = rows('augmentations', checkedAugmentation);
  return {
    plugins: opened,
    rules: {
      fields: withFields(opened, added),
      plugins: opened.map(recipePlugin),
    },
    estimators: [...ESTIMATORS, ...rows('estimators', checkedEstimator)],
    networks: new Map([...ZOO, ...networks]),
    datasets: [...DATASETS, ...rows('datasets', checkedDataset)],
    schedules: [...SCHEDULES, ...rows('schedules', checkedSchedule)],
    weightTransforms: [...WEIGHT_TRANSFORMS, ...rows('weightTransforms', checkedTransform)],
    optimizers: [...OPTIMIZERS, ...rows('optimizers', checkedOptimizer)],
    augmentations,
  };
}

/** Calls the factory and checks what can be told before anything is used. */
async function openPlugin(loaded: LoadedPlugin): Promise<OpenPlugin> {
  const { files } = loaded;
  try {
    return await openDefinition(loaded);
  } catch (error) {
    throw fromPluginError(error, [{ name: files[0] ?? 'plug-in', files }]);
  }
}

async function openDefinition({ definition, sha256, files }: LoadedPlugin): Promise<OpenPlugin> {
  const [at] = files;
  const plugin: Plugin = typeof definition === 'function' ? await definition(PLUGIN_TOOLS) : definition;
  const fail = (message: string, hint = 'docs/extend.md shows working ones'): never => {
    throw new BnnError('E_FORMAT', message, { at, hint });
  };
  if (typeof plugin !== 'object' || plugin === null) fail(`a plug-in is ${describeValue(plugin)}, expected an object`);
  const { name } = plugin;
  if (typeof name !== 'string' || !NAME.test(name))
    fail(`a plug-in is called ${describeValue(name)}, expected a name such as "mine"`);
  const unknown = Object.keys(plugin).find((key) => key !== 'name' && !(KINDS as string[]).includes(key));
  if (unknown !== undefined)
    fail(`the plug-in "${name}" has ${unknown}`, `a plug-in has a name and any of ${KINDS.join(', ')}`);
  const rowsOf = (kind: ChoiceKind): RowWithFields[] => {
    const rows: unknown = plugin[kind] ?? [];
    if (!Array.isArray(rows))
      return fail(`${kind} of the plug-in "${name}" is ${describeValue(rows)}, expected a list`);
    return rows.map((row: Partial<RowWithFields>) => {
      if (typeof row?.name !== 'string' || !NAME.test(row.name)) {
        fail(`a ${WORDS[kind]} of the plug-in "${name}" is called ${describeValue(row?.name)}`, NAME_HINT);
      }
      return { ...unfolded(row), fields: row.fields ?? {} } as RowWithFields;
    });
  };
  const rows = Object.fromEntries(KINDS.map((kind) => [kind, rowsOf(kind)])) as unknown as OpenPlugin['rows'];
  for (const row of Object.values(rows).flat()) checkFields(row, name, at);
  return { name, sha256, files, at, rows };
}

/** All that an object has, also what an instance has from its class. */
function unfolded(part: object): Record<string, unknown> {
  const names = new Set<string>();
  for (let level = part; level !== null && level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    for (const name of Object.getOwnPropertyNames(level)) if (name !== 'constructor') names.add(name);
  }
  return Object.fromEntries(
    Array.from(names, (name) => {
      const value = (part as Record<string, unknown>)[name];
      return [name, typeof value === 'function' ? value.bind(part) : value];
    }),
  );
}

const NAME = /^[A-Za-z0-9][\w.-]*$/;
const NAME_HINT = 'names are of letters, digits, ".", "-" and "_"';

/** @throws {BnnError} E_FORMAT for what is no field, or cannot be an option of the command line. */
function checkFields({ name: part, fields }: RowWithFields, plugin: string, at: string | undefined): void {
  for (const [name, field] of Object.entries<Partial<Field>>(fields)) {
    const isField = typeof field?.kind === 'string' && typeof field.help === 'string' && field.default !== undefined;
    if (isField && /^[a-z][A-Za-z0-9]*$/.test(name)) continue;
    throw new BnnError('E_FORMAT', `the field ${name} of "${part}" in the plug-in "${plugin}" is none`, {
      at,
      hint: "a name like mineWidth, and number(1, 0, 10, 'mine: what it does') or integer, flag, choice, text",
    });
  }
}

function describePart(kind: ChoiceKind, name: string, plugin: string): string {
  return `the ${WORDS[kind]} "${name}" of the plug-in "${plugin}"`;
}

const IS_BUILT_IN: Readonly<Record<ChoiceKind, (name: string) => boolean>> = {
  estimators: (name) => has(ESTIMATORS, name),
  networks: (name) => ZOO.has(name),
  datasets: (name) => has(DATASETS, name),
  schedules: (name) => has(SCHEDULES, name),
  weightTransforms: (name) => name === 'none' || has(WEIGHT_TRANSFORMS, name),
  optimizers: (name) => has(OPTIMIZERS, name),
  augmentations: () => false,
};

function has(rows: readonly { readonly name: string }[], name: string): boolean {
  return rows.some((row) => row.name === name);
}

/** @throws {BnnError} E_USAGE that names both, where a plug-in, a part or a field has the name of another. */
function refuseTwins(plugins: readonly OpenPlugin[]): void {
  const owners = new Map<string, { readonly plugin: OpenPlugin; readonly field?: Field }>();
  const clash = (what: string, { name, at }: OpenPlugin, other: string): never => {
    throw new BnnError('E_USAGE', `${what} of the plug-in "${name}" has the name of ${other}`, {
      at,
      hint: 'rename one of the two',
    });
  };
  for (const plugin of plugins) {
    const twin = plugins.find((it) => it !== plugin && it.name === plugin.name);
    if (twin !== undefined) {
      throw new BnnError('E_USAGE', `two plug-ins are called "${plugin.name}"`, {
        at: [twin.at, plugin.at].filter((at) => at !== undefined).join(' and ') || undefined,
        hint: 'give one of them, or rename it',
      });
    }
    for (const kind of KINDS) {
      for (const row of plugin.rows[kind]) {
        const what = `the ${WORDS[kind]} "${row.name}"`;
        if (IS_BUILT_IN[kind](row.name)) clash(what, plugin, `the built-in ${WORDS[kind]} "${row.name}"`);
        const before = owners.get(`${kind} ${row.name}`);
        if (before !== undefined) clash(what, plugin, describePart(kind, row.name, before.plugin.name));
        owners.set(`${kind} ${row.name}`, { plugin });
        for (const [name, field] of Object.entries(row.fields)) {
          if (Object.hasOwn(BUILT_IN_RULES.fields, name))
            clash(`the field "${name}"`, plugin, `the built-in field "${name}"`);
          const owner = owners.get(`field ${name}`);
          // Rows of one plug-in may share a field.
          if (owner !== undefined && owner.field !== field) {
            clash(`the field "${name}"`, plugin, `the field "${name}" of the plug-in "${owner.plugin.name}"`);
          }
          owners.set(`field ${name}`, { plugin, field });
        }
      }
    }
  }
}

function namesAdded(plugins: readonly OpenPlugin[]): Record<ChoiceKind, string[]> {
  return Object.fromEntries(KINDS.map((kind) => [kind, plugins.flatMap(({ rows }) => namesOf(rows[kind]))])) as Record<
    ChoiceKind,
    string[]
  >;
}

/** The fields of recipes with more to choose from, and those of the plug-ins behind them. */
function withFields(
  plugins: readonly OpenPlugin[],
  added: Readonly<Record<ChoiceKind, readonly string[]>>,
): RecipeRules['fields'] {
  const fields: Record<string, RecipeField> = { ...BUILT_IN_RULES.fields };
  for (const kind of KINDS) {
    for (const name of CHOICE_FIELDS[kind] ?? []) {
      const field = fields[name];
      if (field?.kind === 'choice') fields[name] = { ...field, choices: [...field.choices, ...added[kind]] };
    }
    Object.assign(
      fields,
      fieldsOf(
        kind,
        plugins.flatMap(({ rows }) => rows[kind]),
      ),
    );
  }
  return fields;
}

function recipePlugin({ name, sha256, rows }: OpenPlugin): RecipeRules['plugins'][number] {
  const fields = Object.values(rows).flatMap((some) => some.flatMap((row) => Object.keys(row.fields)));
  const parts = Object.fromEntries(KINDS.map((kind) => [kind, partNames(kind, rows[kind])])) as Record<
    ChoiceKind,
    string[]
  >;
  return { name, sha256, fields, parts };
}

function partNames(kind: ChoiceKind, rows: readonly (RowWithFields & { readonly hasTwins?: boolean })[]): string[] {
  const twins = (name: string) => (kind === 'networks' ? [name, `${name}-1w32a`, `${name}-fp`] : [name]);
  return rows.flatMap(({ name }) => twins(name));
}
