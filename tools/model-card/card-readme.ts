/** The readable form of a model card. */

import { formatBytes, formatCount, formatSeconds } from '../../src/report/format.ts';
import { defaultRecipe } from '../../src/training/recipes/parse-recipe.ts';
import { CARD_FILES, type ModelCard } from './card.ts';
import { FIGURE_NAMES, FIGURES, formatFigure } from './figures.ts';

/** Which tool validates the cards of a data set. */
const VALIDATORS: Readonly<Record<string, string>> = {
  cifar10: 'validate-cifar10.ts',
  imagenet: 'validate-imagenet.ts',
};

/** Data sets by the names of model hubs. */
const HUB_DATASETS: Readonly<Record<string, string>> = {
  mnist: 'ylecun/mnist',
  cifar10: 'uoft-cs/cifar10',
  cifar100: 'uoft-cs/cifar100',
  imagenet: 'ILSVRC/imagenet-1k',
};

/** What model hubs read: licence, data set, results. */
function frontMatter({ name, recipe, figures }: ModelCard): string {
  const { model, dataset } = recipe.fields;
  const hub = HUB_DATASETS[dataset] ?? dataset;
  const metric = (type: string, label: string, share: number | null): string[] =>
    share === null ? [] : [`          - { type: ${type}, name: "${label}", value: ${share} }`];
  return [
    '---',
    'license: apache-2.0',
    'library_name: onnx',
    'pipeline_tag: image-classification',
    `tags: [binary-neural-network, onnx, ${model}]`,
    `datasets: [${hub}]`,
    'metrics: [accuracy]',
    'model-index:',
    `  - name: ${name}`,
    '    results:',
    '      - task: { type: image-classification }',
    `        dataset: { name: ${dataset}, type: ${hub}, split: test }`,
    '        metrics:',
    ...metric('accuracy', 'top-1, packed', figures.packedTop1),
    ...metric('top_5_accuracy', 'top-5, packed', figures.packedTop5),
    '---',
  ].join('\n');
}

/** Commands for whoever installed the package; the model and its recipe are in it. */
function useOf({ name, recipe }: ModelCard): string {
  const { dataset } = recipe.fields;
  const recipeName = recipe.file?.replace(/\.json$/, '');
  return [
    '    npm install bnn-toolchain',
    `    npx bnn predict ${name} picture.jpg`,
    `    npx bnn validate ${name} --dataset ${dataset}${dataset === 'mnist' ? '' : ' --data DIR'}`,
    ...(recipeName === undefined ? [] : [`    npx bnn train ${recipeName}${dataset === 'mnist' ? '' : ' --data DIR'}`]),
  ].join('\n');
}

/** README.md of a model's folder: nothing that is not in the card. */
export function formatCardReadme(card: ModelCard): string {
  const { name, date, recipe, training, latent, hardware, software, figures } = card;
  const { fields } = recipe;
  const defaults: Readonly<Record<string, unknown>> = { ...defaultRecipe() };
  const changed = Object.entries(fields).filter(([field, value]) => value !== defaults[field]);
  const trained = `${formatCount(training.epochs)} epochs, ${formatCount(training.steps)} steps, ${formatSeconds(training.seconds)}`;
  return `${[
    frontMatter(card),
    `# ${name}`,
    `<!-- Written by tools/make-card.ts from ${CARD_FILES.card}: not edited by hand. -->`,
    `\`${fields.model}\` for \`${fields.dataset}\`: [${CARD_FILES.model}](${CARD_FILES.model}) holds one bit for each binary weight and runs in any onnxruntime from 1.15 on. All figures are of the whole test set.`,
    `## Use\n\n${useOf(card)}`,
    '## Figures',
    table(
      ['figure', 'value'],
      FIGURE_NAMES.map((figure) => [
        FIGURES[figure].label,
        code(figures[figure], formatFigure(figure, figures[figure])),
      ]),
    ),
    '## Training',
    table(
      ['what', 'value'],
      [
        [
          'recipe',
          recipe.file === null ? 'none of models/; its fields are below' : `[${recipe.file}](../${recipe.file})`,
        ],
        ['seed', String(fields.seed)],
        ['training', trained],
        ['checkpoint', training.checkpoint],
        ['latent form', `${formatBytes(latent.fileBytes)}, sha256 \`${latent.sha256}\``],
      ],
    ),
    'Fields of the recipe that differ from their defaults:',
    `\`\`\`json\n${JSON.stringify(Object.fromEntries(changed), null, 2)}\n\`\`\``,
    '## How it was chosen',
    `${card.selection} ${checkpointChoice(card)}`,
    '## Measured with',
    table(
      ['what', 'value'],
      [
        ['date', date],
        ['processor', hardware.processor],
        ['instructions', hardware.instructions],
        ['memory', hardware.memory],
        ['bnn-toolchain', software.bnnToolchain],
        ['node', software.node],
        ['onnxruntime', software.onnxruntime],
        ['tfjs', software.tfjs],
      ],
    ),
    ...reproduction(name, fields.dataset),
  ].join('\n\n')}\n`;
}

function checkpointChoice({ training, recipe }: ModelCard): string {
  const read = `The test set was looked at after every epoch ([${CARD_FILES.history}](${CARD_FILES.history}))`;
  if (training.checkpoint === 'last') return `${read}; the last one is kept, whatever it said.`;
  return `${read}; the epoch kept is the best of ${formatCount(recipe.fields.validation)} training pictures held out.`;
}

function reproduction(name: string, dataset: string): string[] {
  const tool = VALIDATORS[dataset];
  if (tool === undefined) return [];
  return [
    '## Reproduce',
    `    npx tsx tools/${tool} models/${name} --data DIR`,
    'measures every figure again and exits with 1 when one differs. Floating-point sums are rounded differently on processors with other instructions, which can move a picture across a decision.',
  ];
}

function code(value: string | number | null, text: string): string {
  return typeof value === 'string' ? `\`${text}\`` : text;
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n');
}
