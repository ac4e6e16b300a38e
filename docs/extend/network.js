/** @type {import('bnn-toolchain').PluginFactory} */
export default ({ define, integer, createNetwork, layers }) => ({
  name: 'two-layers',
  networks: [
    define.network({
      name: 'two-layers',
      describe: 'a float and a binary convolution',
      input: { channels: 1, height: 28, width: 28 },
      minImageSize: 4,
      hasTwins: true, // layers.binaryConv does what the precision says
      fields: { twoWidth: integer(16, 1, 4096, 'two-layers: channels') },
      build(options, { twoWidth: width }) {
        const net = createNetwork(options.name, options);
        let x = layers.conv(net, net.input, 'conv1', { from: options.channels, to: width, kernel: 3, stride: 2 });
        x = layers.batchNorm(net, x, 'bn1', width);
        x = layers.binaryConv(net, x, 'conv2', { from: width, to: 2 * width, kernel: 3, stride: 2 });
        x = layers.relu(net, layers.batchNorm(net, x, 'bn2', 2 * width), 'relu2');
        layers.classifier(net, layers.globalAverage(net, x), 'fc', 2 * width);
        return net.builder.model;
      },
    }),
  ],
});
