// Element-wise kernels and optimizer steps. Results may be in place.
#include "kernels/elementwise/elementwise.h"
#include "kernels/optimizer/optimizer.h"
#include "node/args.h"

namespace bnn_node {
namespace {

// With 1 an average would never move and its correction divide by 0.
constexpr double kMostBeta = 1.0 - 1e-9;

int64_t operand_count(bnn::Operand kind, int64_t rows, int64_t length) {
  return kind == bnn::Operand::kFull ? product(rows, length) : kind == bnn::Operand::kRow ? length : 1;
}

// binary(op, a, aKind, b, bKind, y, rows, length)
napi_value binary(Args& args) {
  const auto op = static_cast<bnn::BinaryOp>(args.integer(0, 0, bnn::kBinaryOps - 1));
  const auto a_kind = static_cast<bnn::Operand>(args.integer(2, 0, bnn::kOperands - 1));
  const auto b_kind = static_cast<bnn::Operand>(args.integer(4, 0, bnn::kOperands - 1));
  const int64_t rows = args.integer(6, 0, int64_t{1} << 31);
  const int64_t length = args.integer(7, 0, int64_t{1} << 31);
  const Floats a = args.floats(1, operand_count(a_kind, rows, length));
  const Floats b = args.floats(3, operand_count(b_kind, rows, length));
  const Floats y = args.result_in_place(5, product(rows, length));
  bnn::binary(op, a.data, a_kind, b.data, b_kind, y.data, rows, length);
  return nullptr;
}

// unary(op, x, alpha, y)
napi_value unary(Args& args) {
  const auto op = static_cast<bnn::UnaryOp>(args.integer(0, 0, bnn::kUnaryOps - 1));
  const Floats x = args.floats(1);
  bnn::unary(op, x.data, args.single(2), args.result_in_place(3, x.count).data, x.count);
  return nullptr;
}

// clip(x, low, high, y)
napi_value clip(Args& args) {
  const Floats x = args.floats(0);
  bnn::clip(x.data, args.limit(1), args.limit(2), args.result_in_place(3, x.count).data, x.count);
  return nullptr;
}

// clipGrad(y, dy, low, high, dx)
napi_value clip_grad(Args& args) {
  const Floats y = args.floats(0);
  const Floats dy = args.floats(1, y.count);
  bnn::clip_grad(y.data, dy.data, args.limit(2), args.limit(3), args.result_in_place(4, y.count).data, y.count);
  return nullptr;
}

// sgdMomentum(param, grad, velocity, newParam, newVelocity, lr, momentum, weightDecay)
napi_value sgd_momentum(Args& args) {
  const Floats param = args.floats(0);
  const int64_t n = param.count;
  const bnn::SgdSettings settings{args.limit(5), args.limit(6), args.limit(7)};
  bnn::sgd_momentum(settings, param.data, args.floats(1, n).data, args.floats(2, n).data, args.result_in_place(3, n).data,
                    args.result_in_place(4, n).data, n);
  return nullptr;
}

// adam(param, grad, m, v, newParam, newM, newV, lr, beta1, beta2, epsilon, weightDecay, step, decoupled)
napi_value adam(Args& args) {
  const Floats param = args.floats(0);
  const int64_t n = param.count;
  constexpr double most = 1e20;
  const bnn::AdamSettings settings{args.number(7, -most, most),
                                   args.number(8, 0, kMostBeta),
                                   args.number(9, 0, kMostBeta),
                                   args.number(10, 0, most),
                                   args.number(11, -most, most),
                                   args.number(12, 1, most),
                                   args.flag(13)};
  bnn::adam(settings, param.data, args.floats(1, n).data, args.floats(2, n).data, args.floats(3, n).data,
            args.result_in_place(4, n).data, args.result_in_place(5, n).data, args.result_in_place(6, n).data, n);
  return nullptr;
}

}  // namespace

void define_elementwise(napi_env env, napi_value exports) {
  define(env, exports, "binary", method<binary>);
  define(env, exports, "unary", method<unary>);
  define(env, exports, "clip", method<clip>);
  define(env, exports, "clipGrad", method<clip_grad>);
  define(env, exports, "sgdMomentum", method<sgd_momentum>);
  define(env, exports, "adam", method<adam>);
}

}  // namespace bnn_node
