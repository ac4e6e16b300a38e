// Convolution, its gradients and the matrix product.
#include "kernels/conv2d/conv2d.h"
#include "node/args.h"
#include "node/slope_table.h"

#include <algorithm>

namespace bnn_node {
namespace {

// In the order of the fields of Conv2dShape.
bnn::Conv2dShape conv_shape(const Args& args, size_t index) {
  const Ints v = args.ints(index, 16);
  const bnn::Conv2dShape s{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15]};
  for (int i = 0; i < 13; i++) require(v[i] > 0, "a size, stride or dilation of a convolution is not positive");
  require(s.groups > 0 && s.in_channels % s.groups == 0 && s.out_channels % s.groups == 0, "the groups do not divide the channels");
  product(s.out_height, s.stride_height, s.kernel_height, s.dilation_height);
  product(s.out_width, s.stride_width, s.kernel_width, s.dilation_width);
  return s;
}
bnn::Conv2dShape binary_shape(const Args& args, size_t index) {
  const bnn::Conv2dShape s = conv_shape(args, index);
  require(s.groups == 1, "convolutions of signs have no groups");
  return s;
}
int64_t x_count(const bnn::Conv2dShape& s) { return product(s.batch, s.in_height, s.in_width, s.in_channels); }
int64_t y_count(const bnn::Conv2dShape& s) { return product(s.batch, s.out_height, s.out_width, s.out_channels); }
int64_t filter_count(const bnn::Conv2dShape& s) { return product(s.kernel_height, s.kernel_width, s.in_channels / s.groups, s.out_channels); }

// conv2d(x, filter, y, shape)
napi_value forward(const Args& args) {
  const bnn::Conv2dShape s = conv_shape(args, 3);
  bnn::conv2d_forward(s, args.floats(0, x_count(s)).data, args.floats(1, filter_count(s)).data, args.floats(2, y_count(s)).data);
  return nullptr;
}

// conv2dInputGrad(dy, filter, dx, shape)
napi_value input_grad(const Args& args) {
  const bnn::Conv2dShape s = conv_shape(args, 3);
  bnn::conv2d_input_grad(s, args.floats(0, y_count(s)).data, args.floats(1, filter_count(s)).data, args.floats(2, x_count(s)).data);
  return nullptr;
}

// conv2dFilterGrad(x, dy, dfilter, shape)
napi_value filter_grad(const Args& args) {
  const bnn::Conv2dShape s = conv_shape(args, 3);
  bnn::conv2d_filter_grad(s, args.floats(0, x_count(s)).data, args.floats(1, y_count(s)).data, args.floats(2, filter_count(s)).data);
  return nullptr;
}

// binaryConv2d(x, filter, y, shape)
napi_value binary_forward(const Args& args) {
  const bnn::Conv2dShape s = binary_shape(args, 3);
  bnn::binary_conv2d_forward(s, args.floats(0, x_count(s)).data, args.floats(1, filter_count(s)).data,
                             args.floats(2, y_count(s)).data);
  return nullptr;
}

// dy, filter, x, dx, shape, sum: Float32Array | null
napi_value binary_input_grad_with(const Args& args, const bnn::SignGradient& gradient) {
  const bnn::Conv2dShape s = binary_shape(args, 4);
  bnn::binary_conv2d_input_grad(s, args.floats(0, y_count(s)).data, args.floats(1, filter_count(s)).data,
                                args.floats(2, x_count(s)).data, gradient, args.floats_or_null(5, x_count(s)).data,
                                args.floats(3, x_count(s)).data);
  return nullptr;
}

// binaryConv2dInputGrad(…, o, t, m): ReSTE; with o = 0: straight-through, clipped at t
napi_value binary_input_grad(const Args& args) {
  const double o = args.number(6);
  const float t = static_cast<float>(args.number(7));
  return binary_input_grad_with(args, o == 0.0 ? bnn::ste_gradient(t) : bnn::reste_gradient(o, t, static_cast<float>(args.number(8))));
}

// binaryConv2dInputGradTable(…, pieces, limit)
napi_value binary_input_grad_table(const Args& args) {
  return binary_input_grad_with(args, bnn::table_gradient(slope_table(args, 6)));
}

// binaryConv2dFilterGrad(x, dy, dfilter, shape)
napi_value binary_filter_grad(const Args& args) {
  const bnn::Conv2dShape s = binary_shape(args, 3);
  bnn::binary_conv2d_filter_grad(s, args.floats(0, x_count(s)).data, args.floats(1, y_count(s)).data,
                                 args.floats(2, filter_count(s)).data);
  return nullptr;
}

// matmul(a, b, c, [batchA, batchB, m, n, k, transposeA, transposeB]); batch i uses matrix i mod batchA of a, i mod batchB of b.
napi_value matmul(const Args& args) {
  const Ints v = args.ints(3, 7);
  for (int i = 0; i < 5; i++) require(v[i] > 0, "a size of a matrix product is not positive");
  const int64_t batch_a = v[0], batch_b = v[1], m = v[2], n = v[3], k = v[4];
  const int64_t batch = std::max(batch_a, batch_b);
  const Floats a = args.floats(0, product(batch_a, m, k));
  const Floats b = args.floats(1, product(batch_b, k, n));
  const Floats c = args.floats(2, product(batch, m, n));
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
