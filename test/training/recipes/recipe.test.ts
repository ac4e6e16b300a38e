import { describe, expect, it } from 'vitest';
import { defaultRecipe, parseRecipe } from '../../../src/training/recipes/parse-recipe.ts';
import { networkName, RECIPE_FIELDS } from '../../../src/training/recipes/recipe.ts';

describe('parseRecipe', () => {
  it('completes, and lets later objects win', () => {
    expect(parseRecipe([{ epochs: 2, description: 'x' }, { epochs: 3 }])).toEqual({ ...defaultRecipe(), epochs: 3 });
  });

  it('accepts its own defaults', () => expect(parseRecipe([{ ...defaultRecipe() }])).toEqual(defaultRecipe()));

  it.each([
    [{ epoch: 3 }, 'unknown recipe field "epoch"', 'did you mean "epochs"?'],
    [{ epochs: 0 }, 'epochs is 0, expected a whole number of at least 1', undefined],
    [{ epochs: 1.5 }, 'epochs is 1.5, expected a whole number', undefined],
    [{ lr: 'fast' }, 'lr is "fast", expected a number between 0 and 1000000', undefined],
    [{ lr: Number.NaN }, 'lr is null, expected a number', undefined],
    [{ optimizer: 'sgdm' }, 'optimizer is "sgdm", expected one of sgd, adam, adamw', undefined],
    [{ flip: 'yes' }, 'flip is "yes", expected true or false', undefined],
    [{ model: 3 }, 'model is 3, expected text', undefined],
  ])('refuses %j', (input, message, hint) => {
    expect(() => parseRecipe([input], 'r.json')).toThrow(
      expect.objectContaining({
        code: 'E_USAGE',
        at: 'r.json',
        message: expect.stringContaining(message),
        ...(hint && { hint }),
      }),
    );
  });

  it('has a help text for every field', () => {
    for (const [name, { help }] of Object.entries(RECIPE_FIELDS)) expect(help, name).not.toBe('');
  });
});

it.each([
  [{ model: 'resnet20', init: '' }, 'resnet20'],
  [{ model: '', init: 'a/start.onnx' }, 'start'],
  [{ model: '', init: 'runs/mnist/last/model.onnx' }, 'mnist'],
  [{ model: '', init: 'C:\\runs\\mnist\\best\\model.onnx' }, 'mnist'],
])('the network of %j is called %s', (recipe, name) => {
  expect(networkName(recipe)).toBe(name);
});
