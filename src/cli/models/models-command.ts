/** `bnn models`. */

import { Command } from 'commander';
import { formatBytes, formatCount, formatPercent } from '../../report/format.ts';
import { formatTable } from '../../report/table.ts';
import { listModels, type ModelListing } from '../../tasks/list-models.ts';
import { BUILT_IN, type Parts } from '../../training/recipes/parts.ts';
import { addExamples, addGeneralOptions, type GeneralOptions, terminalOf } from '../options.ts';
import { addPluginOption } from '../plugin-options.ts';

export function createModelsCommand(name: string, parts: Parts = BUILT_IN): Command {
  const command = new Command(name).description(
    'Lists the networks that can be trained, the recipes that come with the package, and its trained models. Recipes and trained models are taken by name wherever a file is expected.',
  );
  addGeneralOptions(command, { threads: false });
  addPluginOption(command, 'a module whose networks are listed, too');
  return addExamples(command, [
    ['bnn models', 'what there is'],
    ['bnn train mnist-quickstart', 'a recipe by its name'],
    ['bnn predict cifar10-resnet8-bireal photo.jpg', 'a trained model by its name'],
  ]).action(async (options: GeneralOptions) => {
    const terminal = terminalOf(options);
    const listing = await listModels(parts);
    terminal.event('result', listing);
    terminal.result(formatListing(listing));
  });
}

function formatListing({ networks, recipes, trained }: ModelListing): string {
  const networkTable = formatTable(
    [
      { title: 'network' },
      { title: 'picture' },
      { title: 'parameters', align: 'right' },
      { title: 'of 1 bit', align: 'right' },
      { title: 'packed', align: 'right' },
    ],
    networks.map(({ name, input, oneBitParameters, floatParameters, packedBytes }) => [
      name,
      input.join('×'),
      formatCount(oneBitParameters + floatParameters),
      formatPercent(oneBitParameters / (oneBitParameters + floatParameters)),
      formatBytes(packedBytes),
    ]),
  );
  const recipeTable = formatTable(
    [{ title: 'recipe' }, { title: 'network' }, { title: 'data' }, { title: 'epochs', align: 'right' }],
    recipes.map(({ name, model, dataset, epochs }) => [name, model, dataset, formatCount(epochs)]),
  );
  const trainedTable = formatTable(
    [
      { title: 'trained model' },
      { title: 'network' },
      { title: 'data' },
      { title: 'file', align: 'right' },
      { title: 'test top-1', align: 'right' },
    ],
    trained.map(({ name, network, dataset, fileBytes, top1 }) => [
      name,
      network,
      dataset,
      formatBytes(fileBytes),
      formatPercent(top1),
    ]),
  );
  return [
    `${networkTable}\nEach also as NAME-1w32a (binary weights, float activations) and NAME-fp (float).`,
    `${recipeTable}\nbnn train NAME, with --data where the data lie.`,
    `${trainedTable}\nbnn predict NAME PICTURE; bnn train --init NAME --new-classifier …`,
  ].join('\n\n');
}
