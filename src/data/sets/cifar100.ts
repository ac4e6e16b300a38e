/**
 * CIFAR-100: 50000 + 10000 colour pictures, 32x32, 100 classes in 20 groups (A. Krizhevsky, "Learning multiple layers of features
 * from tiny images", 2009). The label is the class (the "fine" label); the groups are not used.
 */

import type { Dataset, LoadOptions } from '../dataset.ts';
import { binaryLayout, type CifarVariant, pythonLayout } from '../formats/cifar-layouts.ts';
import { type CifarFamily, loadCifar } from './cifar.ts';

const CLASSES =
  'apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle caterpillar ' +
  'cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl ' +
  'hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom ' +
  'oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road ' +
  'rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank ' +
  'telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm';

const variant = (suffix: string, folder: string, archive: string): CifarVariant => ({
  title: 'CIFAR-100',
  classCount: 100,
  train: [{ name: `train${suffix}`, images: 50_000 }],
  test: [{ name: `test${suffix}`, images: 10_000 }],
  folder,
  archive,
});

const CIFAR100: CifarFamily = {
  name: 'cifar100',
  title: 'CIFAR-100',
  classes: CLASSES.split(' '),
  // The figures in common use for the training set.
  statistics: { mean: [0.50708, 0.48655, 0.44092], std: [0.26733, 0.25644, 0.27615] },
  layouts: [
    binaryLayout(variant('.bin', 'cifar-100-binary', 'cifar-100-binary.tar.gz'), 2),
    pythonLayout(variant('', 'cifar-100-python', 'cifar-100-python.tar.gz'), 'fine_labels'),
  ],
  official: {
    url: 'https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz',
    file: 'cifar-100-binary.tar.gz',
    sizeBytes: 168_513_733,
    md5: '03b5dce01913d631647c71ecec9e9cb8',
  },
};

/** As `loadCifar`, with the 100 classes as labels. */
export function loadCifar100(options: LoadOptions): Promise<Dataset> {
  return loadCifar(CIFAR100, options);
}
