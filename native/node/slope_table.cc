// The surrogate gradient of sign from a table.
#include "node/slope_table.h"

namespace bnn_node {

bnn::SlopeTable slope_table(const Args& args, size_t index) {
  const Floats pieces = args.floats(index);
  const float limit = static_cast<float>(args.number(index + 1));
  if (pieces.count < 2 || pieces.count % 2 != 0 || pieces.count > (int64_t{1} << 24)) {
    fail("argument " + std::to_string(index) + " is not a table of pairs");
  }
  if (!(limit > 0.0f)) fail("argument " + std::to_string(index + 1) + " is not a positive limit");
  return {pieces.data, static_cast<int>(pieces.count / 2), limit};
}

namespace {

// signGradTable(x, dy, pieces, limit, dx)
napi_value sign_grad_table(const Args& args) {
  const Floats x = args.floats(0);
  const Floats dy = args.floats(1, x.count);
  bnn::sign_grad_table(x.data, dy.data, slope_table(args, 2), args.floats(4, x.count).data, x.count);
  return nullptr;
}

}  // namespace

void define_slope_table(napi_env env, napi_value exports) { define(env, exports, "signGradTable", method<sign_grad_table>); }

}  // namespace bnn_node
