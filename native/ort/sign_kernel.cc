#include <algorithm>
#include <memory>

#include "kernels/binarize/dispatch.h"
#include "ort/context.h"
#include "ort/layer_op.h"
#include "ort/problem.h"

namespace bnn {
namespace ort {
namespace {

struct SignKernel {
  const OrtApi* api;
  std::string who;
};

// Elements of one piece of work.
constexpr int64_t kChunk = 1 << 15;

void run(const SignKernel& kernel, OrtKernelContext* context) {
  const OrtApi* api = kernel.api;
  const OrtValue* x = nullptr;
  check(api, KernelContext_GetInput::call(api, context, 0, &x));
  OrtTensorTypeAndShapeInfo* info = nullptr;
  check(api, GetTensorTypeAndShape::call(api, x, &info));
  size_t rank = 0;
  int64_t dims[16];
  OrtStatus* status = GetDimensionsCount::call(api, info, &rank);
  if (status == nullptr && rank <= 16) status = GetDimensions::call(api, info, dims, rank);
  ReleaseTensorTypeAndShapeInfo::call(api, info);
  check(api, status);
  if (rank > 16) throw Problem("input x has rank " + std::to_string(rank) + ", expected at most 16");
  OrtValue* y = nullptr;
  check(api, KernelContext_GetOutput::call(api, context, 0, dims, rank, &y));
  void* from = nullptr;
  void* to = nullptr;
  check(api, GetTensorMutableData::call(api, const_cast<OrtValue*>(x), &from));
  check(api, GetTensorMutableData::call(api, y, &to));
  int64_t count = 1;
  for (size_t i = 0; i < rank; i++) count *= dims[i];
  if (count == 0) return;
  const ContextThreads threads(api, context);
  const int64_t chunks = (count + kChunk - 1) / kChunk;
  parallel_for(threads.parallel(), static_cast<size_t>(chunks), [&](size_t i) {
    const int64_t begin = static_cast<int64_t>(i) * kChunk;
    binarize_row().sign(static_cast<const float*>(from) + begin, std::min(kChunk, count - begin), static_cast<float*>(to) + begin);
  });
}

}  // namespace

OrtStatus* create_sign(const OrtCustomOp*, const OrtApi* api, const OrtKernelInfo* info, void** kernel) {
  return guarded(api, "bnn.Sign", [&] { *kernel = new SignKernel{api, describe_node(api, info, "Sign")}; });
}

OrtStatus* compute_sign(void* pointer, OrtKernelContext* context) {
  const SignKernel& kernel = *static_cast<const SignKernel*>(pointer);
  return guarded(kernel.api, kernel.who.c_str(), [&] { run(kernel, context); });
}

void destroy_sign(void* kernel) { delete static_cast<SignKernel*>(kernel); }

}  // namespace ort
}  // namespace bnn
