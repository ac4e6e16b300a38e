// Convolution, its gradients and the matrix product.
#include "kernels/conv2d/conv2d.h"
#include "node/args.h"
#include "node/sign_gradients.h"

#include <algorithm>

namespace bnn_node {
namespace {

// Floats of the padded rows that a thread holds for one row of windows, and pixels of a padded image.
constexpr int64_t kMostWindow = int64_t{1} << 28;
constexpr int64_t kMostImage = int64_t{1} << 31;

// Along one axis: of a window, dilation included, and of the image with all the padding that the windows see.
struct Reach {
  int64_t window, image;
};
Reach reach(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
  const int64_t window = product(kernel - 1, dilation) + 1;
  return {window, std::max(product(out - 1, stride) + window, in + (pad < 0 ? -pad : pad))};
}

// In the order of the fields of Conv2dShape.
bnn::Conv2dShape conv_shape(Args& args, size_t index) {
  const auto v = args.ints<17>(index);
  require(v[16] == 0 || v[16] == 1, "the precision is neither float32 (0) nor bf16 (1)");
  const auto precision = static_cast<bnn::Precision>(v[16]);
  const bnn::Conv2dShape s{v[0], v[1],  v[2],  v[3],  v[4],  v[5],  v[6],  v[7],     v[8],
                           v[9], v[10], v[11], v[12], v[13], v[14], v[15], precision};
  for (size_t i = 0; i < 13; i++) require(v[i] > 0, "a size, stride or dilation of a convolution is not positive");
  require(s.groups > 0 && s.in_channels % s.groups == 0 && s.out_channels % s.groups == 0, "the groups do not divide the channels");
  const Reach height = reach(s.in_height, s.out_height, s.kernel_height, s.stride_height, s.dilation_height, s.pad_top);
  const Reach width = reach(s.in_width, s.out_width, s.kernel_width, s.stride_width, s.dilation_width, s.pad_left);
  const int64_t pixels = product(height.window + std::min(s.stride_height, height.image), width.image);
  if (product(pixels, std::max(s.in_channels, s.out_channels)) > kMostWindow || product(height.image, width.image) > kMostImage) {
    fail("the padded image of a convolution is too large");
  }
  return s;
}
bnn::Conv2dShape binary_shape(Args& args, size_t index) {
  const bnn::Conv2dShape s = conv_shape(args, index);
  require(s.groups == 1, "convolutions of signs have no groups");
  return s;
}
int64_t x_count(const bnn::Conv2dShape& s) { return product(s.batch, s.in_height, s.in_width, s.in_channels); }
int64_t y_count(const bnn::Conv2dShape& s) { return product(s.batch, s.out_height, s.out_width, s.out_channels); }
int64_t filter_count(const bnn::Conv2dShape& s) {
  return product(s.kernel_height, s.kernel_width, s.in_channels / s.groups, s.out_channels);
}

// conv2d(x, filter, y, shape)
napi_value forward(Args& args) {
  const bnn::Conv2dShape s = conv_shape(args, 3);
  bnn::conv2d_forward(s, args.floats(0, x_count(s)).data, args.floats(1, filter_count(s)).data, args.result(2, y_count(s)).data);
  return nullptr;
}

// conv2dInputGrad(dy, filter, dx, shape)
napi_value input_grad(Args& args) {
  const bnn::Conv2dShape s = conv_shape(args, 3);
  bnn::conv2d_input_grad(s, args.floats(0, y_count(s)).data, args.floats(1, filter_count(s)).data, args.result(2, x_count(s)).data);
  return nullptr;
}

// conv2dFilterGrad(x, dy, dfilter, shape)
napi_value filter_grad(Args& args) {
  const bnn::Conv2dShape s = conv_shape(args, 3);
  bnn::conv2d_filter_grad(s, args.floats(0, x_count(s)).data, args.floats(1, y_count(s)).data, args.result(2, filter_count(s)).data);
  return nullptr;
}

// binaryConv2d(x, filter, y, shape)
napi_value binary_forward(Args& args) {
  const bnn::Conv2dShape s = binary_shape(args, 3);
  bnn::binary_conv2d_forward(s, args.floats(0, x_count(s)).data, args.floats(1, filter_count(s)).data,
                             args.result(2, y_count(s)).data);
  return nullptr;
}

// dy, filter, x, dx, shape, sum: Float32Array | null
napi_value binary_input_grad_with(Args& args, const bnn::SignGradient& gradient) {
  const bnn::Conv2dShape s = binary_shape(args, 4);
  bnn::binary_conv2d_input_grad(s, args.floats(0, y_count(s)).data, args.floats(1, filter_count(s)).data,
                                args.floats(2, x_count(s)).data, gradient, args.floats_or_null(5, x_count(s)).data,
                                args.result(3, x_count(s)).data);
  return nullptr;
}

// binaryConv2dInputGrad(…, o, t, m): ReSTE; with o = 0: straight-through, clipped at t
napi_value binary_input_grad(Args& args) {
  if (args.number(6) == 0.0) return binary_input_grad_with(args, bnn::ste_gradient(args.limit(7)));
  return binary_input_grad_with(args, reste_gradient(args, 6));
}

// binaryConv2dInputGradTable(…, pieces, limit)
napi_value binary_input_grad_table(Args& args) { return binary_input_grad_with(args, bnn::table_gradient(slope_table(args, 6))); }

// binaryConv2dFilterGrad(x, dy, dfilter, shape)
napi_value binary_filter_grad(Args& args) {
  const bnn::Conv2dShape s = binary_shape(args, 3);
  bnn::binary_conv2d_filter_grad(s, args.floats(0, x_count(s)).data, args.floats(1, y_count(s)).data,
                                 args.result(2, filter_count(s)).data);
  return nullptr;
}

// matmul(a, b, c, [batchA, batchB, m, n, k, transposeA, transposeB]); batch i uses matrix i mod batchA of a, i mod batchB of b.
napi_value matmul(Args& args) {
  const auto v = args.ints<7>(3);
  for (size_t i = 0; i < 5; i++) require(v[i] > 0, "a size of a matrix product is not positive");
  const int64_t batch_a = v[0], batch_b = v[1], m = v[2], n = v[3], k = v[4];
  const int64_t batch = std::max(batch_a, batch_b);
  const Floats a = args.floats(0, product(batch_a, m, k));
  const Floats b = args.floats(1, product(batch_b, k, n));
  const Floats c = args.result(2, product(batch, m, n));
  for (int64_t i = 0; i < batch; i++) {
    bnn::matmul(m, n, k, v[5] != 0, v[6] != 0, a.data + i % batch_a * (m * k), b.data + i % batch_b * (k * n), c.data + i * (m * n));
  }
  return nullptr;
}

}  // namespace

void define_convolutions(napi_env env, napi_value exports) {
  define(env, exports, "conv2d", method<forward>);
  define(env, exports, "conv2dInputGrad", method<input_grad>);
  define(env, exports, "conv2dFilterGrad", method<filter_grad>);
  define(env, exports, "binaryConv2d", method<binary_forward>);
  define(env, exports, "binaryConv2dInputGrad", method<binary_input_grad>);
  define(env, exports, "binaryConv2dInputGradTable", method<binary_input_grad_table>);
  define(env, exports, "binaryConv2dFilterGrad", method<binary_filter_grad>);
  define(env, exports, "matmul", method<matmul>);
}

}  // namespace bnn_node
