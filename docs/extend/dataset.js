const SIDE = 12;

/** @type {import('bnn-toolchain').PluginFactory} */
export default ({ define, integer, Rng }) => ({
  name: 'stripes',
  datasets: [
    define.dataset({
      name: 'stripes',
      fields: { stripesCount: integer(600, 10, 100000, 'stripes: pictures to learn from') },
      load(_options, { stripesCount }) {
        const draw = (count, seed) => {
          const random = new Rng(seed);
          const images = new Uint8Array(count * SIDE * SIDE);
          const labels = Array.from({ length: count }, () => random.below(2));
          for (let i = 0; i < images.length; i++) {
            const [y, x] = [Math.floor(i / SIDE) % SIDE, i % SIDE];
            const isBright = (labels[Math.floor(i / (SIDE * SIDE))] === 0 ? y : x) % 4 < 2;
            images[i] = (isBright ? 150 : 50) + random.below(100);
          }
          return { images, labels };
        };
        return {
          classes: ['lying', 'standing'],
          ...{ height: SIDE, width: SIDE, channels: 1 },
          train: draw(stripesCount, 1),
          test: draw(200, 2),
        };
      },
    }),
  ],
});
