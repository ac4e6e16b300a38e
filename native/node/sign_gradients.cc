// Surrogate gradients of sign. dx may be x or dy.
#include "node/sign_gradients.h"

#include <cmath>

namespace bnn_node {

bnn::SignGradient reste_gradient(const Args& args, size_t index) {
  const double o = args.number(index, 1.0, 1e30);
  return bnn::reste_gradient(o, args.limit(index + 1), args.single(index + 2, 0.0, HUGE_VAL));
}

bnn::SlopeTable slope_table(Args& args, size_t index) {
  const Floats pieces = args.floats(index);
  if (pieces.count < 2 || pieces.count % 2 != 0 || pieces.count > (int64_t{1} << 24)) {
    fail("argument " + std::to_string(index) + " is not a table of pairs");
  }
  const int cells = static_cast<int>(pieces.count / 2);
  const float limit = args.single(index + 1);
  // The kernel multiplies by cells / limit to find the place in the table.
  if (!(limit > 0.0f) || !std::isfinite(limit) || !std::isfinite(static_cast<float>(cells) / limit)) {
    fail("argument " + std::to_string(index + 1) + " is not a limit for a table of " + std::to_string(cells) + " pieces");
  }
  return {pieces.data, cells, limit};
}

namespace {

// signGradSte(x, dy, clip, dx)
napi_value ste(Args& args) {
  const Floats x = args.floats(0);
  bnn::sign_grad_ste(x.data, args.floats(1, x.count).data, args.limit(2), args.result_in_place(3, x.count).data, x.count);
  return nullptr;
}

// signGradReste(x, dy, o, t, m, dx)
napi_value reste(Args& args) {
  const Floats x = args.floats(0);
  const Floats dy = args.floats(1, x.count);
  bnn::sign_grad(reste_gradient(args, 2), x.data, dy.data, args.result_in_place(5, x.count).data, x.count);
  return nullptr;
}

// signGradTable(x, dy, pieces, limit, dx)
napi_value table(Args& args) {
  const Floats x = args.floats(0);
  const Floats dy = args.floats(1, x.count);
  bnn::sign_grad_table(x.data, dy.data, slope_table(args, 2), args.result_in_place(4, x.count).data, x.count);
  return nullptr;
}

// signGradDsq(x, dy, alpha, dx): number
napi_value dsq(Args& args) {
  const Floats x = args.floats(0);
  const Floats dy = args.floats(1, x.count);
  // Below, the exponential would leave the range of floats; above, the factor 1 / (1 − α).
  const double alpha = args.number(2, 1e-37, 1.0 - 1e-15);
  napi_value result = nullptr;
  napi_create_double(args.env(), bnn::sign_grad_dsq(x.data, dy.data, alpha, args.result_in_place(3, x.count).data, x.count), &result);
  return result;
}

}  // namespace

void define_sign_gradients(napi_env env, napi_value exports) {
  define(env, exports, "signGradSte", method<ste>);
  define(env, exports, "signGradReste", method<reste>);
  define(env, exports, "signGradTable", method<table>);
  define(env, exports, "signGradDsq", method<dsq>);
}

}  // namespace bnn_node
