/** How a recipe chooses rows of tables by name, and which fields do something because of it. */

import type { Field, Fields } from '../../core/field.ts';
import { namesOf } from '../../core/row-named.ts';

/** A row of a table that has fields of its own. */
export interface RowWithFields {
  readonly name: string;
  readonly fields: Fields;
}

export type ChoiceKind =
  | 'estimators'
  | 'networks'
  | 'datasets'
  | 'schedules'
  | 'weightTransforms'
  | 'optimizers'
  | 'augmentations';

/** The fields that choose rows of tables by name. */
type Choosing = Readonly<
  Record<
    | ('init' | 'model' | 'dataset' | 'schedule' | 'weightTransform' | 'optimizer' | 'augment')
    | ('estimator' | 'weightEstimator' | 'activationEstimator'),
    string
  >
>;

/** The tables whose rows a recipe chooses: what their rows are called in messages, and which of them a recipe has chosen. */
export const CHOICES: Readonly<
  Record<ChoiceKind, { readonly noun: string; readonly chosen: (recipe: Choosing) => readonly string[] }>
> = {
  estimators: { noun: 'estimator', chosen: estimatorsOf },
  networks: { noun: 'model', chosen: ({ init, model }) => (init === '' ? [model] : []) },
  datasets: { noun: 'dataset', chosen: ({ dataset }) => [dataset] },
  schedules: { noun: 'schedule', chosen: ({ schedule }) => [schedule] },
  weightTransforms: { noun: 'weightTransform', chosen: (recipe) => (hasSigns(recipe) ? [recipe.weightTransform] : []) },
  optimizers: { noun: 'optimizer', chosen: ({ optimizer }) => [optimizer] },
  augmentations: { noun: 'augment', chosen: ({ augment }) => listed(augment) },
};

type Intersection<U> = (U extends unknown ? (u: U) => void : never) extends (u: infer I) => void ? I : never;

/** The fields of all rows of a table; each does something where one of the rows that have it is chosen. */
export function fieldsOf<const R extends readonly RowWithFields[]>(
  kind: ChoiceKind,
  rows: R,
): Intersection<R[number]['fields']> {
  const { noun, chosen } = CHOICES[kind];
  const fields: Record<string, Field & { readonly use: { needs: string; isUsed: (recipe: Choosing) => boolean } }> = {};
  for (const [name, field] of rows.flatMap((row) => Object.entries<Field>(row.fields))) {
    const names = namesOf(rows.filter((row) => Object.hasOwn(row.fields, name)));
    const isUsed = (recipe: Choosing) => chosen(recipe).some((it) => names.includes(it));
    fields[name] = { ...field, use: { needs: `${noun} ${names.join(' or ')}`, isUsed } };
  }
  return fields as Intersection<R[number]['fields']>;
}

/** The parts of a list with commas. */
export function listed(text: string): string[] {
  return text === '' ? [] : text.split(',').map((item) => item.trim());
}

/** The zoo's twins: `-fp` has no sign at all, `-1w32a` none for activations. */
export function hasSigns({ init, model }: Choosing): boolean {
  return init !== '' || !model.endsWith('-fp');
}

export function hasActivationSigns(recipe: Choosing): boolean {
  return hasSigns(recipe) && (recipe.init !== '' || !recipe.model.endsWith('-1w32a'));
}

/** What stands for the gradient of signs; null for a network that has none. */
export function estimatorInWords(recipe: Choosing): string | null {
  const [weights, activations = weights] = estimatorsOf(recipe);
  if (weights === undefined) return null;
  return weights === activations ? weights : `${weights} for weights and ${activations} for activations`;
}

function estimatorsOf(recipe: Choosing): string[] {
  return [
    ...(hasSigns(recipe) ? [recipe.weightEstimator || recipe.estimator] : []),
    ...(hasActivationSigns(recipe) ? [recipe.activationEstimator || recipe.estimator] : []),
  ];
}
