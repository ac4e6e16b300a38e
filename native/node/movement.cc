// Pooling and copies.
#include "kernels/copy/copy.h"
#include "kernels/pooling/pooling.h"
#include "node/args.h"

namespace bnn_node {
namespace {

// In the order of the fields of PoolShape.
bnn::PoolShape pool_shape(Args& args, size_t index) {
  const auto v = args.ints<12>(index);
  for (size_t i = 0; i < 10; i++) require(v[i] > 0, "a size or stride of a pooling is not positive");
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11]};
}
int64_t x_count(const bnn::PoolShape& s) { return product(s.batch, s.in_height, s.in_width, s.channels); }
int64_t y_count(const bnn::PoolShape& s) { return product(s.batch, s.out_height, s.out_width, s.channels); }

// maxPool(x, y, shape)
napi_value max_pool(Args& args) {
  const bnn::PoolShape s = pool_shape(args, 2);
  bnn::max_pool(s, args.floats(0, x_count(s)).data, args.result(1, y_count(s)).data);
  return nullptr;
}
// avgPool(x, y, shape)
napi_value avg_pool(Args& args) {
  const bnn::PoolShape s = pool_shape(args, 2);
  bnn::avg_pool(s, args.floats(0, x_count(s)).data, args.result(1, y_count(s)).data);
  return nullptr;
}
// maxPoolGrad(x, dy, dx, shape)
napi_value max_pool_grad(Args& args) {
  const bnn::PoolShape s = pool_shape(args, 3);
  bnn::max_pool_grad(s, args.floats(0, x_count(s)).data, args.floats(1, y_count(s)).data, args.result(2, x_count(s)).data);
  return nullptr;
}
// avgPoolGrad(dy, dx, shape)
napi_value avg_pool_grad(Args& args) {
  const bnn::PoolShape s = pool_shape(args, 2);
  bnn::avg_pool_grad(s, args.floats(0, y_count(s)).data, args.result(1, x_count(s)).data);
  return nullptr;
}

// Whether every index Σ i_d · stride_d + offset stays in [0, count).
bool inside(const int64_t (&size)[4], const int64_t (&stride)[4], int64_t offset, int64_t count) {
  int64_t low = offset, high = offset;
  for (int d = 0; d < 4; d++) {
    if (size[d] == 0) return true;
    const int64_t reach = product(size[d] - 1, stride[d] < 0 ? -stride[d] : stride[d]);
    if (stride[d] < 0) {
      low -= reach;
    } else {
      high += reach;
    }
  }
  return low >= 0 && high < count;
}

// stridedCopy(from, to, [size × 4, fromStride × 4, toStride × 4, fromOffset, toOffset])
napi_value strided_copy(Args& args) {
  const Floats from = args.floats(0), to = args.result(1);
  const auto v = args.ints<14>(2);
  bnn::StridedCopy copy{};
  for (size_t d = 0; d < 4; d++) {
    copy.size[d] = v[d];
    copy.from_stride[d] = v[4 + d];
    copy.to_stride[d] = v[8 + d];
    require(copy.size[d] >= 0, "a size of a copy is negative");
  }
  // Each element of the target is written once; so nothing takes longer than the arrays are long.
  require(product(v[0], v[1], v[2], v[3]) <= to.count, "a copy has more elements than its target");
  copy.from_offset = v[12];
  copy.to_offset = v[13];
  require(inside(copy.size, copy.from_stride, copy.from_offset, from.count), "a copy reads outside its source");
  require(inside(copy.size, copy.to_stride, copy.to_offset, to.count), "a copy writes outside its target");
  bnn::strided_copy(copy, from.data, to.data);
  return nullptr;
}

// fill(to, value)
napi_value fill_value(Args& args) {
  const Floats to = args.result(0);
  bnn::fill(to.data, args.single(1), to.count);
  return nullptr;
}

}  // namespace

void define_movement(napi_env env, napi_value exports) {
  define(env, exports, "maxPool", method<max_pool>);
  define(env, exports, "avgPool", method<avg_pool>);
  define(env, exports, "maxPoolGrad", method<max_pool_grad>);
  define(env, exports, "avgPoolGrad", method<avg_pool_grad>);
  define(env, exports, "stridedCopy", method<strided_copy>);
  define(env, exports, "fill", method<fill_value>);
}

}  // namespace bnn_node
