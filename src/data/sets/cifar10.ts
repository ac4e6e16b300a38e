/**
 * CIFAR-10: 50000 + 10000 colour pictures, 32x32, 10 classes (A. Krizhevsky, "Learning multiple layers of features from tiny
 * images", 2009).
 */

import type { Dataset, LoadOptions } from '../dataset.ts';
import { binaryLayout, type CifarVariant, pythonLayout } from '../formats/cifar-layouts.ts';
import { type CifarFamily, loadCifar } from './cifar.ts';

const BATCH_IMAGES = 10_000;
const batch = (name: string) => ({ name, images: BATCH_IMAGES });
const variant = (suffix: string, folder: string, archive: string): CifarVariant => ({
  title: 'CIFAR-10',
  classCount: 10,
  train: [1, 2, 3, 4, 5].map((n) => batch(`data_batch_${n}${suffix}`)),
  test: [batch(`test_batch${suffix}`)],
  folder,
  archive,
});

const CIFAR10: CifarFamily = {
  name: 'cifar10',
  title: 'CIFAR-10',
  classes: ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'],
  statistics: { mean: [0.4914, 0.48216, 0.44653], std: [0.24703, 0.24349, 0.26159] },
  layouts: [
    binaryLayout(variant('.bin', 'cifar-10-batches-bin', 'cifar-10-binary.tar.gz'), 1),
    pythonLayout(variant('', 'cifar-10-batches-py', 'cifar-10-python.tar.gz'), 'labels'),
  ],
  official: {
    url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
    file: 'cifar-10-binary.tar.gz',
    sizeBytes: 170_052_171,
    md5: 'c32a1d4ab5d03f1284b67883e8d87530',
  },
};

/** As `loadCifar`. */
export function loadCifar10(options: LoadOptions): Promise<Dataset> {
  return loadCifar(CIFAR10, options);
}
