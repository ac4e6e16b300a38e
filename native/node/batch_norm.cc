// Batch normalisation and sums.
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/elementwise/elementwise.h"
#include "node/args.h"

#include <vector>

namespace bnn_node {
namespace {

constexpr double kMostEpsilon = 1e30;

// x is argument 0; the number of channels is that of `per_channel`.
bnn::BatchNormShape norm_shape(const Floats& x, const Floats& per_channel, double epsilon, bool relu) {
  const int64_t channels = per_channel.count;
  require(channels > 0 && x.count > 0 && x.count % channels == 0, "the elements of x are not a positive multiple of the channels");
  return {x.count / channels, channels, epsilon, relu};
}

// The factor of x: one for all channels, one for each, or null for none.
class Scale {
 public:
  Scale(Args& args, size_t index, int64_t channels) {
    if (args.is_null(index)) {
      repeated_.assign(static_cast<size_t>(channels), 1.0f);
      return;
    }
    const Floats given = args.floats(index);
    count_ = given.count;
    if (count_ == 1) {
      repeated_.assign(static_cast<size_t>(channels), *given.data);
      return;
    }
    if (count_ != channels) fail("argument " + std::to_string(index) + " has neither one factor nor one for each channel");
    data_ = given.data;
  }
  const float* data() const { return data_ == nullptr ? repeated_.data() : data_; }
  int64_t count() const { return count_; }

 private:
  std::vector<float> repeated_;
  const float* data_ = nullptr;
  int64_t count_ = 0;
};

// The gradient of a factor, summed up in double precision.
class ScaleGradient {
 public:
  ScaleGradient(Args& args, size_t index, const Scale& scale, int64_t channels)
      : result_(args.result_or_null(index, scale.count())), sums_(static_cast<size_t>(result_.data == nullptr ? 0 : channels)) {}
  double* sums() { return result_.data == nullptr ? nullptr : sums_.data(); }
  void finish() {
    if (result_.count == 1) {
      double total = 0.0;
      for (const double sum : sums_) total += sum;
      *result_.data = static_cast<float>(total);
    } else {
      for (int64_t i = 0; i < result_.count; i++) result_.data[i] = static_cast<float>(sums_[static_cast<size_t>(i)]);
    }
  }

 private:
  Floats result_;
  std::vector<double> sums_;
};

// batchNormTrain(x, scale, gamma, beta, y, mean, variance, epsilon, relu, residual: Float32Array | null)
napi_value train(Args& args) {
  const Floats x = args.floats(0), gamma = args.floats(2);
  const int64_t c = gamma.count;
  const bnn::BatchNormShape shape = norm_shape(x, gamma, args.number(7, 0, kMostEpsilon), args.flag(8));
  bnn::batch_norm_train(shape, x.data, Scale(args, 1, c).data(), gamma.data, args.floats(3, c).data,
                        args.floats_or_null(9, x.count).data, args.result(4, x.count).data, args.result(5, c).data,
                        args.result(6, c).data);
  return nullptr;
}

// batchNormInfer(x, scale, gamma, beta, mean, variance, y, epsilon, relu, residual: Float32Array | null)
napi_value infer(Args& args) {
  const Floats x = args.floats(0), gamma = args.floats(2);
  const int64_t c = gamma.count;
  const bnn::BatchNormShape shape = norm_shape(x, gamma, args.number(7, 0, kMostEpsilon), args.flag(8));
  bnn::batch_norm_infer(shape, x.data, Scale(args, 1, c).data(), gamma.data, args.floats(3, c).data, args.floats(4, c).data,
                        args.floats(5, c).data, args.floats_or_null(9, x.count).data, args.result(6, x.count).data);
  return nullptr;
}

// batchNormGrad(x, dy, scale, gamma, mean, variance, dx, dgamma, dbeta, dscale: Float32Array | null, epsilon, relu)
napi_value grad(Args& args) {
  const Floats x = args.floats(0), gamma = args.floats(3);
  const int64_t c = gamma.count;
  const bnn::BatchNormShape shape = norm_shape(x, gamma, args.number(10, 0, kMostEpsilon), args.flag(11));
  const Scale scale(args, 2, c);
  ScaleGradient dscale(args, 9, scale, c);
  bnn::batch_norm_grad(shape, x.data, args.floats(1, x.count).data, scale.data(), gamma.data, args.floats(4, c).data,
                       args.floats(5, c).data, args.result(6, x.count).data, args.result(7, c).data, args.result(8, c).data,
                       dscale.sums());
  dscale.finish();
  return nullptr;
}

// batchNormMoments(x, scale, mean, variance, relu)
napi_value moments(Args& args) {
  const Floats x = args.floats(0), mean = args.result(2);
  const int64_t c = mean.count;
  const bnn::BatchNormShape shape = norm_shape(x, mean, 0, args.flag(4));
  bnn::batch_norm_moments(shape, x.data, Scale(args, 1, c).data(), mean.data, args.result(3, c).data);
  return nullptr;
}

// batchNormGradSums(x, dy, scale, mean, variance, dgamma, dbeta, epsilon, relu)
napi_value grad_sums(Args& args) {
  const Floats x = args.floats(0), mean = args.floats(3);
  const int64_t c = mean.count;
  const bnn::BatchNormShape shape = norm_shape(x, mean, args.number(7, 0, kMostEpsilon), args.flag(8));
  bnn::batch_norm_grad_sums(shape, x.data, args.floats(1, x.count).data, Scale(args, 2, c).data(), mean.data, args.floats(4, c).data,
                            args.result(5, c).data, args.result(6, c).data);
  return nullptr;
}

// batchNormGradApply(x, dy, scale, gamma, mean, variance, meanDgamma, meanDbeta, dx, dscale: Float32Array | null, epsilon, relu)
napi_value grad_apply(Args& args) {
  const Floats x = args.floats(0), gamma = args.floats(3);
  const int64_t c = gamma.count;
  const bnn::BatchNormShape shape = norm_shape(x, gamma, args.number(10, 0, kMostEpsilon), args.flag(11));
  const Scale scale(args, 2, c);
  ScaleGradient dscale(args, 9, scale, c);
  bnn::batch_norm_grad_apply(shape, x.data, args.floats(1, x.count).data, scale.data(), gamma.data, args.floats(4, c).data,
                             args.floats(5, c).data, args.floats(6, c).data, args.floats(7, c).data, args.result(8, x.count).data,
                             dscale.sums());
  dscale.finish();
  return nullptr;
}

// moveAverage(average, now, keep, take, moved): keep · average + take · now, rounded as the separate operations are
napi_value move_average(Args& args) {
  const Floats average = args.floats(0);
  const Floats now = args.floats(1, average.count), moved = args.result_in_place(4, average.count);
  const float keep = args.single(2), take = args.single(3);
  std::vector<float> step(static_cast<size_t>(average.count));
  constexpr auto kFull = bnn::Operand::kFull, kScalar = bnn::Operand::kScalar;
  bnn::binary(bnn::BinaryOp::kMul, now.data, kFull, &take, kScalar, step.data(), 1, average.count);
  bnn::binary(bnn::BinaryOp::kMul, average.data, kFull, &keep, kScalar, moved.data, 1, average.count);
  bnn::binary(bnn::BinaryOp::kAdd, moved.data, kFull, step.data(), kFull, moved.data, 1, average.count);
  return nullptr;
}

// sumMiddle(x, sums, outer, inner, divisor): Σ over the middle of [outer][middle][inner], in double precision across blocks, divided
napi_value sum_middle(Args& args) {
  const Floats x = args.floats(0);
  const int64_t outer = args.integer(2, 1, int64_t{1} << 31), inner = args.integer(3, 1, int64_t{1} << 31);
  const double divisor = args.number(4);
  const Floats sums = args.result(1, product(outer, inner));
  require(x.count % sums.count == 0, "the elements of x are not a multiple of the sums");
  const int64_t size = x.count / outer;
  std::vector<double> totals(static_cast<size_t>(inner == 1 ? 0 : inner));
  for (int64_t i = 0; i < outer; i++) {
    const float* part = x.data + i * size;
    if (inner == 1) {
      sums.data[i] = static_cast<float>(bnn::total_sum(part, size) / divisor);
      continue;
    }
    bnn::channel_sums(part, size / inner, inner, totals.data());
    for (int64_t c = 0; c < inner; c++) sums.data[i * inner + c] = static_cast<float>(totals[static_cast<size_t>(c)] / divisor);
  }
  return nullptr;
}

}  // namespace

void define_batch_norm(napi_env env, napi_value exports) {
  define(env, exports, "batchNormTrain", method<train>);
  define(env, exports, "batchNormInfer", method<infer>);
  define(env, exports, "batchNormGrad", method<grad>);
  define(env, exports, "batchNormMoments", method<moments>);
  define(env, exports, "batchNormGradSums", method<grad_sums>);
  define(env, exports, "batchNormGradApply", method<grad_apply>);
  define(env, exports, "moveAverage", method<move_average>);
  define(env, exports, "sumMiddle", method<sum_middle>);
}

}  // namespace bnn_node
