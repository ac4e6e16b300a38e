// Batch normalisation and sums.
#include "kernels/batch_norm/batch_norm.h"
#include "node/args.h"

namespace bnn_node {
namespace {

constexpr double kMostEpsilon = 1e30;

// x is argument 0; the number of channels is that of `per_channel`.
bnn::BatchNormShape norm_shape(const Floats& x, const Floats& per_channel, double epsilon, bool relu) {
  const int64_t channels = per_channel.count;
  require(channels > 0 && x.count > 0 && x.count % channels == 0, "the elements of x are not a positive multiple of the channels");
  return {x.count / channels, channels, epsilon, relu};
}

// batchNormTrain(x, scale, gamma, beta, y, mean, variance, epsilon, relu, residual: Float32Array | null)
napi_value train(Args& args) {
  const Floats x = args.floats(0), gamma = args.floats(2);
  const int64_t c = gamma.count;
  const bnn::BatchNormShape shape = norm_shape(x, gamma, args.number(7, 0, kMostEpsilon), args.flag(8));
  bnn::batch_norm_train(shape, x.data, args.floats(1, c).data, gamma.data, args.floats(3, c).data,
                        args.floats_or_null(9, x.count).data, args.result(4, x.count).data, args.result(5, c).data,
                        args.result(6, c).data);
  return nullptr;
}

// batchNormInfer(x, scale, gamma, beta, mean, variance, y, epsilon, relu, residual: Float32Array | null)
napi_value infer(Args& args) {
  const Floats x = args.floats(0), gamma = args.floats(2);
  const int64_t c = gamma.count;
  const bnn::BatchNormShape shape = norm_shape(x, gamma, args.number(7, 0, kMostEpsilon), args.flag(8));
  bnn::batch_norm_infer(shape, x.data, args.floats(1, c).data, gamma.data, args.floats(3, c).data, args.floats(4, c).data,
                        args.floats(5, c).data, args.floats_or_null(9, x.count).data, args.result(6, x.count).data);
  return nullptr;
}

// batchNormGrad(x, dy, scale, gamma, mean, variance, dx, dgamma, dbeta, dscale: Float64Array | null, epsilon, relu)
napi_value grad(Args& args) {
  const Floats x = args.floats(0), gamma = args.floats(3);
  const int64_t c = gamma.count;
  const bnn::BatchNormShape shape = norm_shape(x, gamma, args.number(10, 0, kMostEpsilon), args.flag(11));
  bnn::batch_norm_grad(shape, x.data, args.floats(1, x.count).data, args.floats(2, c).data, gamma.data, args.floats(4, c).data,
                       args.floats(5, c).data, args.result(6, x.count).data, args.result(7, c).data, args.result(8, c).data,
                       args.double_result_or_null(9, c).data);
  return nullptr;
}

// batchNormMoments(x, scale, mean, variance, relu)
napi_value moments(Args& args) {
  const Floats x = args.floats(0), scale = args.floats(1);
  const int64_t c = scale.count;
  const bnn::BatchNormShape shape = norm_shape(x, scale, 0, args.flag(4));
  bnn::batch_norm_moments(shape, x.data, scale.data, args.result(2, c).data, args.result(3, c).data);
  return nullptr;
}

// batchNormGradSums(x, dy, scale, mean, variance, dgamma, dbeta, epsilon, relu)
napi_value grad_sums(Args& args) {
  const Floats x = args.floats(0), scale = args.floats(2);
  const int64_t c = scale.count;
  const bnn::BatchNormShape shape = norm_shape(x, scale, args.number(7, 0, kMostEpsilon), args.flag(8));
  bnn::batch_norm_grad_sums(shape, x.data, args.floats(1, x.count).data, scale.data, args.floats(3, c).data, args.floats(4, c).data,
                            args.result(5, c).data, args.result(6, c).data);
  return nullptr;
}

// batchNormGradApply(x, dy, scale, gamma, mean, variance, meanDgamma, meanDbeta, dx, dscale: Float64Array | null, epsilon, relu)
napi_value grad_apply(Args& args) {
  const Floats x = args.floats(0), gamma = args.floats(3);
  const int64_t c = gamma.count;
  const bnn::BatchNormShape shape = norm_shape(x, gamma, args.number(10, 0, kMostEpsilon), args.flag(11));
  bnn::batch_norm_grad_apply(shape, x.data, args.floats(1, x.count).data, args.floats(2, c).data, gamma.data, args.floats(4, c).data,
                             args.floats(5, c).data, args.floats(6, c).data, args.floats(7, c).data, args.result(8, x.count).data,
                             args.double_result_or_null(9, c).data);
  return nullptr;
}

// channelSums(x, sums: Float64Array)
napi_value channel_sums(Args& args) {
  const Floats x = args.floats(0);
  const Doubles sums = args.double_result(1);
  require(sums.count > 0 && x.count % sums.count == 0, "the elements of x are not a multiple of the channels");
  bnn::channel_sums(x.data, x.count / sums.count, sums.count, sums.data);
  return nullptr;
}

// totalSum(x): number
napi_value total_sum(Args& args) {
  const Floats x = args.floats(0);
  napi_value result = nullptr;
  napi_create_double(args.env(), bnn::total_sum(x.data, x.count), &result);
  return result;
}

}  // namespace

void define_batch_norm(napi_env env, napi_value exports) {
  define(env, exports, "batchNormTrain", method<train>);
  define(env, exports, "batchNormInfer", method<infer>);
  define(env, exports, "batchNormGrad", method<grad>);
  define(env, exports, "batchNormMoments", method<moments>);
  define(env, exports, "batchNormGradSums", method<grad_sums>);
  define(env, exports, "batchNormGradApply", method<grad_apply>);
  define(env, exports, "channelSums", method<channel_sums>);
  define(env, exports, "totalSum", method<total_sum>);
}

}  // namespace bnn_node
