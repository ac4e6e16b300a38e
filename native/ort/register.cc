// The library's entry: every binding of onnxruntime looks up RegisterCustomOps.
#include "ort/layer_op.h"
#include "ort/problem.h"
#include "simd/isa_names.h"

namespace bnn {
namespace ort {
namespace {

const LayerOp& layer(const OrtCustomOp* op) { return *reinterpret_cast<const LayerOp*>(op); }

OrtCustomOp common(uint32_t version) {
  OrtCustomOp op{};
  op.version = version;
  op.GetName = [](const OrtCustomOp* self) { return layer(self).name.c_str(); };
  // Null means the CPU.
  op.GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };
  op.GetOutputType = [](const OrtCustomOp*, size_t) -> int { return kFloat; };
  op.GetOutputTypeCount = [](const OrtCustomOp*) -> size_t { return 1; };
  op.GetInputCharacteristic = [](const OrtCustomOp*, size_t) -> int { return kRequired; };
  op.GetOutputCharacteristic = [](const OrtCustomOp*, size_t) -> int { return kRequired; };
  op.GetInputMemoryType = [](const OrtCustomOp*, size_t) -> int { return kDefaultMemory; };
  op.GetVariadicInputMinArity = [](const OrtCustomOp*) { return 1; };
  op.GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return 1; };
  op.GetVariadicOutputMinArity = [](const OrtCustomOp*) { return 1; };
  op.GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 1; };
  op.GetStartVersion = [](const OrtCustomOp*) { return 1; };
  op.GetEndVersion = [](const OrtCustomOp*) { return 1; };
  return op;
}

struct Table {
  std::vector<LayerOp> layers;
  LayerOp sign;
  LayerOp chain;
};

Table make_table(uint32_t version) {
  Table table{layer_ops(), LayerOp{common(version), "Sign", false, false, false, {}},
              LayerOp{common(version), "BinaryChain", false, false, false, {}}};
  for (LayerOp& op : table.layers) {
    op.base = common(version);
    op.base.GetInputTypeCount = [](const OrtCustomOp* self) -> size_t { return 2 + layer(self).inputs.size(); };
    op.base.GetInputType = [](const OrtCustomOp*, size_t i) -> int { return i == 1 ? kUint8 : kFloat; };
    op.base.CreateKernelV2 = create_layer;
    op.base.KernelComputeV2 = compute_layer;
    op.base.KernelDestroy = destroy_layer;
  }
  table.sign.base.GetInputTypeCount = [](const OrtCustomOp*) -> size_t { return 1; };
  table.sign.base.GetInputType = [](const OrtCustomOp*, size_t) -> int { return kFloat; };
  table.sign.base.CreateKernelV2 = create_sign;
  table.sign.base.KernelComputeV2 = compute_sign;
  table.sign.base.KernelDestroy = destroy_sign;
  // A program, and then as many tensors as it takes; as many come out as it says.
  OrtCustomOp& chain = table.chain.base;
  chain.GetInputTypeCount = [](const OrtCustomOp*) -> size_t { return 2; };
  chain.GetInputType = [](const OrtCustomOp*, size_t i) -> int { return i == 0 ? kUint8 : kFloat; };
  chain.GetInputCharacteristic = [](const OrtCustomOp*, size_t i) -> int { return i == 0 ? kRequired : kVariadic; };
  chain.GetOutputCharacteristic = [](const OrtCustomOp*, size_t) -> int { return kVariadic; };
  chain.CreateKernelV2 = create_chain;
  chain.KernelComputeV2 = compute_chain;
  chain.KernelDestroy = destroy_chain;
  return table;
}

OrtStatus* register_ops(OrtSessionOptions* options, const OrtApiBase* base) {
  const uint32_t version = common_version(base);
  if (version == 0) return CreateStatus::call(base->GetApi(1), kFail, "bnn_ops needs onnxruntime 1.17 or later");
  const std::string problem = isa_problem();
  if (!problem.empty()) return CreateStatus::call(base->GetApi(1), kInvalidArgument, ("bnn_ops: " + problem).c_str());
  const OrtApi* api = base->GetApi(version);
  if (api == nullptr) return CreateStatus::call(base->GetApi(1), kFail, "bnn_ops: onnxruntime refuses its own interface version");
  // Sessions keep pointers to these.
  static const Table table = make_table(version);
  // onnxruntime takes no ownership of a domain, and no call tells when its last session is gone: one for the process.
  static OrtCustomOpDomain* domain = nullptr;
  static OrtStatus* failure = [api]() -> OrtStatus* {
    if (OrtStatus* status = CreateCustomOpDomain::call(api, "bnn", &domain)) return status;
    for (const LayerOp& op : table.layers) {
      if (OrtStatus* status = CustomOpDomain_Add::call(api, domain, &op.base)) return status;
    }
    if (OrtStatus* status = CustomOpDomain_Add::call(api, domain, &table.sign.base)) return status;
    return CustomOpDomain_Add::call(api, domain, &table.chain.base);
  }();
  if (failure != nullptr) return CreateStatus::call(api, kFail, GetErrorMessage::call(api, failure));
  return AddCustomOpDomain::call(api, options, domain);
}

}  // namespace
}  // namespace ort
}  // namespace bnn

#if defined(_WIN32)
#define BNN_EXPORT __declspec(dllexport)
#else
#define BNN_EXPORT __attribute__((visibility("default")))
#endif

extern "C" BNN_EXPORT bnn::ort::OrtStatus* RegisterCustomOps(bnn::ort::OrtSessionOptions* options, const bnn::ort::OrtApiBase* base) {
  try {
    return bnn::ort::register_ops(options, base);
  } catch (...) {
    return bnn::ort::CreateStatus::call(base->GetApi(1), bnn::ort::kFail, "bnn_ops: out of memory");
  }
}
