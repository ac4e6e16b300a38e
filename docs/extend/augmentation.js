/** @type {import('bnn-toolchain').PluginFactory} */
export default ({ define, number }) => ({
  name: 'contrast',
  augmentations: [
    define.augmentation({
      name: 'contrast',
      fields: { contrastMost: number(0.3, 0, 1, 'contrast: most that it is raised or lowered by') },
      create:
        ({ contrastMost }) =>
        ({ pixels }, random) => {
          const factor = 1 + contrastMost * (2 * random.uniform() - 1);
          for (let i = 0; i < pixels.length; i++) {
            pixels[i] = Math.min(255, Math.max(0, Math.round(128 + factor * (pixels[i] - 128))));
          }
        },
    }),
  ],
});
