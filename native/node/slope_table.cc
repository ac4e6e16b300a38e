// The surrogate gradient of sign from a table.
#include "kernels/elementwise/slope_table.h"

#include "node/args.h"

namespace bnn_node {
namespace {

// signGradTable(x, dy, pieces, limit, dx)
napi_value sign_grad_table(const Args& args) {
  const Floats x = args.floats(0);
  const Floats dy = args.floats(1, x.count);
  const Floats pieces = args.floats(2);
  const double limit = args.number(3);
  if (pieces.count < 2 || pieces.count % 2 != 0 || pieces.count > (int64_t{1} << 24)) fail("argument 2 is not a table of pairs");
  if (!(limit > 0.0)) fail("argument 3 is not a positive limit");
  const bnn::SlopeTable table{pieces.data, static_cast<int>(pieces.count / 2), static_cast<float>(limit)};
  bnn::sign_grad_table(x.data, dy.data, table, args.floats(4, x.count).data, x.count);
  return nullptr;
}

}  // namespace

void define_slope_table(napi_env env, napi_value exports) { define(env, exports, "signGradTable", method<sign_grad_table>); }

}  // namespace bnn_node
