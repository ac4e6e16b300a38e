// Element-wise kernels, surrogate gradients of sign, and optimizer steps.
#include "kernels/elementwise/elementwise.h"
#include "kernels/optimizer/optimizer.h"
#include "node/args.h"

namespace bnn_node {
namespace {

int64_t operand_count(bnn::Operand kind, int64_t rows, int64_t length) {
  return kind == bnn::Operand::kFull ? rows * length : kind == bnn::Operand::kRow ? length : 1;
}

// binary(op, a, aKind, b, bKind, y, rows, length)
napi_value binary(const Args& args) {
  const auto op = static_cast<bnn::BinaryOp>(args.integer(0, 0, bnn::kBinaryOps - 1));
  const auto a_kind = static_cast<bnn::Operand>(args.integer(2, 0, bnn::kOperands - 1));
  const auto b_kind = static_cast<bnn::Operand>(args.integer(4, 0, bnn::kOperands - 1));
  const int64_t rows = args.integer(6, 0, int64_t{1} << 31);
  const int64_t length = args.integer(7, 0, int64_t{1} << 31);
  const Floats a = args.floats(1, operand_count(a_kind, rows, length));
  const Floats b = args.floats(3, operand_count(b_kind, rows, length));
  const Floats y = args.floats(5, rows * length);
  bnn::binary(op, a.data, a_kind, b.data, b_kind, y.data, rows, length);
  return nullptr;
}

// unary(op, x, alpha, y)
napi_value unary(const Args& args) {
  const auto op = static_cast<bnn::UnaryOp>(args.integer(0, 0, bnn::kUnaryOps - 1));
  const Floats x = args.floats(1);
  bnn::unary(op, x.data, static_cast<float>(args.number(2)), args.floats(3, x.count).data, x.count);
  return nullptr;
}

// clip(x, low, high, y)
napi_value clip(const Args& args) {
  const Floats x = args.floats(0);
  bnn::clip(x.data, static_cast<float>(args.number(1)), static_cast<float>(args.number(2)), args.floats(3, x.count).data, x.count);
  return nullptr;
}

// clipGrad(y, dy, low, high, dx)
napi_value clip_grad(const Args& args) {
  const Floats y = args.floats(0);
  const Floats dy = args.floats(1, y.count);
  bnn::clip_grad(y.data, dy.data, static_cast<float>(args.number(2)), static_cast<float>(args.number(3)),
                 args.floats(4, y.count).data, y.count);
  return nullptr;
}

// signGradSte(x, dy, clip, dx)
napi_value sign_grad_ste(const Args& args) {
  const Floats x = args.floats(0);
  bnn::sign_grad_ste(x.data, args.floats(1, x.count).data, static_cast<float>(args.number(2)), args.floats(3, x.count).data, x.count);
  return nullptr;
}

// signGradReste(x, dy, o, t, m, dx)
napi_value sign_grad_reste(const Args& args) {
  const Floats x = args.floats(0);
  const Floats dy = args.floats(1, x.count);
  bnn::sign_grad_reste(x.data, dy.data, args.number(2), static_cast<float>(args.number(3)), static_cast<float>(args.number(4)),
                       args.floats(5, x.count).data, x.count);
  return nullptr;
}

// signGradDsq(x, dy, alpha, dx): number
napi_value sign_grad_dsq(const Args& args) {
  const Floats x = args.floats(0);
  const Floats dy = args.floats(1, x.count);
  const double alpha = args.number(2);
  require(alpha > 0.0 && alpha < 1.0, "argument 2 is not between 0 and 1");
  napi_value result = nullptr;
  napi_create_double(args.env(), bnn::sign_grad_dsq(x.data, dy.data, alpha, args.floats(3, x.count).data, x.count), &result);
  return result;
}

// sgdMomentum(param, grad, velocity, newParam, newVelocity, lr, momentum, weightDecay, nesterov)
napi_value sgd_momentum(const Args& args) {
  const Floats param = args.floats(0);
  const int64_t n = param.count;
  const bnn::SgdSettings settings{static_cast<float>(args.number(5)), static_cast<float>(args.number(6)),
                                  static_cast<float>(args.number(7)), args.flag(8)};
  bnn::sgd_momentum(settings, param.data, args.floats(1, n).data, args.floats(2, n).data, args.floats(3, n).data,
                    args.floats(4, n).data, n);
  return nullptr;
}

// adam(param, grad, m, v, newParam, newM, newV, lr, beta1, beta2, epsilon, weightDecay, step, decoupled)
napi_value adam(const Args& args) {
  const Floats param = args.floats(0);
  const int64_t n = param.count;
  const bnn::AdamSettings settings{args.number(7),  args.number(8),  args.number(9), args.number(10),
                                   args.number(11), args.number(12), args.flag(13)};
  bnn::adam(settings, param.data, args.floats(1, n).data, args.floats(2, n).data, args.floats(3, n).data, args.floats(4, n).data,
            args.floats(5, n).data, args.floats(6, n).data, n);
  return nullptr;
}

}  // namespace

void define_elementwise(napi_env env, napi_value exports) {
  define(env, exports, "binary", method<binary>);
  define(env, exports, "unary", method<unary>);
  define(env, exports, "clip", method<clip>);
  define(env, exports, "clipGrad", method<clip_grad>);
  define(env, exports, "signGradSte", method<sign_grad_ste>);
  define(env, exports, "signGradDsq", method<sign_grad_dsq>);
  define(env, exports, "signGradReste", method<sign_grad_reste>);
  define(env, exports, "sgdMomentum", method<sgd_momentum>);
  define(env, exports, "adam", method<adam>);
}

}  // namespace bnn_node
