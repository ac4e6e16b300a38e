#include "ort/broadcast.h"

#include <algorithm>

#include "ort/problem.h"

namespace bnn {
namespace ort {
namespace {

// The size of axis `axis` of `rank` when leading ones are put before.
int64_t size_at(const AnyTensor& t, size_t axis, size_t rank) {
  const size_t missing = rank - t.dims.size();
  return axis < missing ? 1 : t.dims[axis - missing];
}

std::string mismatch(const AnyTensor& a, const AnyTensor& b, int64_t m, int64_t n) {
  const std::string separator = a.what.empty() || b.what.empty() ? "" : ", ";
  const std::string what = a.what + separator + b.what;
  return (what.empty() ? "" : what + ": ") + "sizes " + std::to_string(m) + " and " + std::to_string(n) + " do not broadcast";
}

}  // namespace

int64_t element_count(const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (const int64_t size : dims) {
    if (__builtin_mul_overflow(count, size, &count)) throw Problem("a tensor of more than 2^63 elements");
  }
  return count;
}

AnyTensor any_tensor(const char* name, const TensorView& view) {
  if (view.type != kFloat || view.rank > TensorView::kMostRank) {
    throw Problem(std::string("input ") + name + " is " + describe(view) + ", expected f32");
  }
  AnyTensor tensor{{view.dims, view.dims + view.rank}, {}, std::string("input ") + name + " is " + describe(view)};
  tensor.values.assign(view.floats(), view.floats() + element_count(tensor.dims));
  return tensor;
}

AnyTensor broadcast(const AnyTensor& a, const AnyTensor& b, float (*f)(float, float)) {
  const size_t rank = std::max(a.dims.size(), b.dims.size());
  AnyTensor result;
  result.dims.resize(rank);
  for (size_t axis = 0; axis < rank; axis++) {
    const int64_t m = size_at(a, axis, rank), n = size_at(b, axis, rank);
    if (m != n && m != 1 && n != 1) throw Problem(mismatch(a, b, m, n));
    result.dims[axis] = m == 1 ? n : m;
  }
  result.values.resize(static_cast<size_t>(element_count(result.dims)));
  // Elements from one position of an axis to the next; 0 where the only one is repeated.
  std::vector<int64_t> aStep(rank), bStep(rank), position(rank, 0);
  for (size_t axis = rank, i = 1, j = 1; axis-- > 0;) {
    const int64_t m = size_at(a, axis, rank), n = size_at(b, axis, rank);
    aStep[axis] = m == 1 ? 0 : static_cast<int64_t>(i);
    bStep[axis] = n == 1 ? 0 : static_cast<int64_t>(j);
    i *= static_cast<size_t>(m);
    j *= static_cast<size_t>(n);
  }
  int64_t i = 0, j = 0;
  for (float& value : result.values) {
    value = f(a.values[static_cast<size_t>(i)], b.values[static_cast<size_t>(j)]);
    for (size_t axis = rank; axis-- > 0;) {
      i += aStep[axis];
      j += bStep[axis];
      if (++position[axis] < result.dims[axis]) break;
      i -= aStep[axis] * result.dims[axis];
      j -= bStep[axis] * result.dims[axis];
      position[axis] = 0;
    }
  }
  return result;
}

}  // namespace ort
}  // namespace bnn
