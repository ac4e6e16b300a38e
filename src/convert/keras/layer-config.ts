/**
 * What the `config.json` of a `.keras` file says of the layers whose weights lie in groups of `model.weights.h5`. A group is named after
 * the class, in the order of the layers, and not after the layer: the second BatchNormalization is `layers/batch_normalization_1`
 * (Keras 3, `saving_lib._save_container_state`).
 */

export interface LayerFacts {
  /** Of the layer in the file of weights. */
  readonly group: string;
  readonly name: string;
  /** Which of gamma and beta a normalization lacks, if it lacks one of them. */
  readonly without: 'gamma' | 'beta' | null;
}

/** Networks within networks; deeper ones keep the names of their groups. */
const MOST_DEPTH = 16;

/** Of a description that is not as expected, whatever can be told; the weights are there all the same. */
export function layersOfConfig(json: string): LayerFacts[] {
  let description: unknown;
  try {
    description = JSON.parse(json);
  } catch {
    return [];
  }
  return [...layersIn(fieldOf(description, 'config'), '', 0)];
}

function* layersIn(config: unknown, parent: string, depth: number): Generator<LayerFacts> {
  const layers = fieldOf(config, 'layers');
  if (!Array.isArray(layers) || depth > MOST_DEPTH) return;
  const used = new Map<string, number>();
  for (const layer of layers as unknown[]) {
    const className = fieldOf(layer, 'class_name');
    const own = fieldOf(layer, 'config');
    if (typeof className !== 'string') continue;
    // Larq registers its classes as "Larq>QuantConv2D".
    const base = snakeCase(className.slice(className.lastIndexOf('>') + 1));
    const count = used.get(base) ?? 0;
    used.set(base, count + 1);
    const group = `${parent}layers/${base}${count === 0 ? '' : `_${count}`}`;
    const name = fieldOf(own, 'name');
    const scale = fieldOf(own, 'scale') === false;
    const center = fieldOf(own, 'center') === false;
    if (typeof name === 'string' && name !== '') {
      yield { group, name, without: scale === center ? null : scale ? 'gamma' : 'beta' };
    }
    yield* layersIn(own, `${group}/`, depth + 1);
  }
}

/** As `keras.src.utils.naming.to_snake_case`. */
function snakeCase(name: string): string {
  return name
    .replaceAll(/\W+/g, '')
    .replaceAll(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
