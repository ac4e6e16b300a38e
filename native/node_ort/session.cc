#include "node_ort/session.h"

namespace bnn_ort {
namespace {

// Calls a release function when the scope ends.
template <typename Object, typename Release>
class Owned {
 public:
  explicit Owned(const ort_abi::OrtApi* api) : api_(api) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (object_ != nullptr) Release::call(api_, object_);
  }
  Object** out() { return &object_; }
  Object* get() const { return object_; }

 private:
  const ort_abi::OrtApi* api_;
  Object* object_ = nullptr;
};

using OwnedOptions = Owned<ort_abi::OrtSessionOptions, ort_abi::ReleaseSessionOptions>;
using OwnedTypeInfo = Owned<ort_abi::OrtTypeInfo, ort_abi::ReleaseTypeInfo>;
using OwnedShapeInfo = Owned<ort_abi::OrtTensorTypeAndShapeInfo, ort_abi::ReleaseTensorTypeAndShapeInfo>;

void apply(const Settings& settings, const Runtime& runtime, ort_abi::OrtSessionOptions* options) {
  const ort_abi::OrtApi* api = runtime.api;
  const auto check = [&](ort_abi::OrtStatus* status) { runtime.check(status, kUsageProblem); };
  check(ort_abi::SetSessionLogSeverityLevel::call(api, options, settings.log_severity));
  check(ort_abi::SetSessionGraphOptimizationLevel::call(api, options, settings.optimization_level));
  if (settings.intra_op_threads > 0) check(ort_abi::SetIntraOpNumThreads::call(api, options, settings.intra_op_threads));
  if (settings.inter_op_threads > 0) check(ort_abi::SetInterOpNumThreads::call(api, options, settings.inter_op_threads));
  if (!settings.profile_prefix.empty()) {
    check(ort_abi::EnableProfiling::call(api, options, system_path(settings.profile_prefix).c_str()));
  }
  for (const auto& [key, value] : settings.config) {
    check(ort_abi::AddSessionConfigEntry::call(api, options, key.c_str(), value.c_str()));
  }
  if (!settings.ops_library.empty()) {
    const Path path = system_path(settings.ops_library);
    runtime.check(ort_abi::RegisterCustomOpsLibrary_V2::call(api, options, path.c_str()), kOpsProblem);
  }
}

// onnxruntime checks the length of what it is given against the shape, but not the shape for overflow.
size_t checked_byte_count(const TensorView& tensor) {
  size_t count = element_bytes(tensor.type);
  if (count == 0) throw Problem{kUsageProblem, "element type " + std::to_string(tensor.type) + " cannot be fed"};
  for (const int64_t size : tensor.shape) {
    if (size < 0 || __builtin_mul_overflow(count, static_cast<size_t>(size), &count)) {
      throw Problem{kUsageProblem, "size " + std::to_string(size) + " in the shape of a tensor"};
    }
  }
  return count;
}

}  // namespace

size_t element_bytes(ort_abi::Element type) {
  switch (type) {
    case ort_abi::kUint8Element:
    case ort_abi::kInt8:
    case ort_abi::kBool: return 1;
    case ort_abi::kUint16:
    case ort_abi::kInt16:
    case ort_abi::kFloat16:
    case ort_abi::kBfloat16: return 2;
    case ort_abi::kFloat32:
    case ort_abi::kInt32:
    case ort_abi::kUint32: return 4;
    case ort_abi::kFloat64:
    case ort_abi::kInt64:
    case ort_abi::kUint64: return 8;
    default: return 0;
  }
}

TensorView Value::view() const {
  const ort_abi::OrtApi* api = runtime_->api;
  OwnedShapeInfo info(api);
  runtime_->check(ort_abi::GetTensorTypeAndShape::call(api, value_, info.out()), kRunProblem);
  TensorView view{ort_abi::kNoElement, nullptr, 0, {}};
  runtime_->check(ort_abi::GetTensorElementType::call(api, info.get(), &view.type), kRunProblem);
  size_t rank = 0;
  runtime_->check(ort_abi::GetDimensionsCount::call(api, info.get(), &rank), kRunProblem);
  view.shape.resize(rank);
  if (rank > 0) runtime_->check(ort_abi::GetDimensions::call(api, info.get(), view.shape.data(), rank), kRunProblem);
  view.byte_count = checked_byte_count(view);
  runtime_->check(ort_abi::GetTensorMutableData::call(api, value_, &view.data), kRunProblem);
  return view;
}

Session::Session(const Settings& settings) : runtime_(open_runtime(settings.runtime_path)) {
  const ort_abi::OrtApi* api = runtime_.api;
  OwnedOptions options(api);
  runtime_.check(ort_abi::CreateSessionOptions::call(api, options.out()), kRuntimeProblem);
  apply(settings, runtime_, options.get());
  if (settings.bytes != nullptr) {
    runtime_.check(
        ort_abi::CreateSessionFromArray::call(api, runtime_.env, settings.bytes, settings.byte_count, options.get(), &session_),
        kModelProblem);
  } else {
    const Path path = system_path(settings.path);
    runtime_.check(ort_abi::CreateSession::call(api, runtime_.env, path.c_str(), options.get(), &session_), kModelProblem);
  }
  try {
    inputs_ = describe(true);
    outputs_ = describe(false);
  } catch (...) {
    ort_abi::ReleaseSession::call(api, session_);
    throw;
  }
}

Session::~Session() { ort_abi::ReleaseSession::call(runtime_.api, session_); }

std::vector<ValueInfo> Session::describe(bool of_inputs) const {
  const ort_abi::OrtApi* api = runtime_.api;
  const auto check = [this](ort_abi::OrtStatus* status) { runtime_.check(status, kModelProblem); };
  size_t count = 0;
  check(of_inputs ? ort_abi::SessionGetInputCount::call(api, session_, &count)
                  : ort_abi::SessionGetOutputCount::call(api, session_, &count));
  std::vector<ValueInfo> infos(count);
  for (size_t i = 0; i < count; i++) {
    ValueInfo& info = infos[i];
    char* name = nullptr;
    check(of_inputs ? ort_abi::SessionGetInputName::call(api, session_, i, runtime_.allocator, &name)
                    : ort_abi::SessionGetOutputName::call(api, session_, i, runtime_.allocator, &name));
    info.name = name;
    check(ort_abi::AllocatorFree::call(api, runtime_.allocator, name));
    OwnedTypeInfo type(api);
    check(of_inputs ? ort_abi::SessionGetInputTypeInfo::call(api, session_, i, type.out())
                    : ort_abi::SessionGetOutputTypeInfo::call(api, session_, i, type.out()));
    const ort_abi::OrtTensorTypeAndShapeInfo* tensor = nullptr;
    check(ort_abi::CastTypeInfoToTensorInfo::call(api, type.get(), &tensor));
    if (tensor == nullptr) continue;
    check(ort_abi::GetTensorElementType::call(api, tensor, &info.type));
    size_t rank = 0;
    check(ort_abi::GetDimensionsCount::call(api, tensor, &rank));
    info.sizes.resize(rank);
    info.symbols.resize(rank);
    if (rank == 0) continue;
    check(ort_abi::GetDimensions::call(api, tensor, info.sizes.data(), rank));
    std::vector<const char*> symbols(rank, nullptr);
    check(ort_abi::GetSymbolicDimensions::call(api, tensor, symbols.data(), rank));
    for (size_t axis = 0; axis < rank; axis++) {
      if (symbols[axis] != nullptr) info.symbols[axis] = symbols[axis];
    }
  }
  return infos;
}

Value Session::wrap(const TensorView& tensor) const {
  const size_t needed = checked_byte_count(tensor);
  if (needed != tensor.byte_count) {
    throw Problem{kUsageProblem, "a tensor has " + std::to_string(tensor.byte_count) + " bytes, but its shape and type need " +
                                     std::to_string(needed)};
  }
  // An empty array may have no address, which onnxruntime does not accept.
  static char nothing[8];
  ort_abi::OrtValue* value = nullptr;
  runtime_.check(
      ort_abi::CreateTensorWithDataAsOrtValue::call(runtime_.api, runtime_.memory, tensor.data == nullptr ? nothing : tensor.data,
                                                    tensor.byte_count, tensor.shape.data(), tensor.shape.size(), tensor.type, &value),
      kUsageProblem);
  return Value(runtime_, value);
}

std::vector<Value> Session::run(const std::vector<std::string>& input_names, const std::vector<Value>& inputs,
                                const std::vector<std::string>& output_names) const {
  std::vector<const char*> in_names;
  std::vector<const ort_abi::OrtValue*> in_values;
  for (const std::string& name : input_names) in_names.push_back(name.c_str());
  for (const Value& value : inputs) in_values.push_back(value.get());
  std::vector<const char*> out_names;
  for (const std::string& name : output_names) out_names.push_back(name.c_str());
  std::vector<ort_abi::OrtValue*> out_values(output_names.size(), nullptr);
  ort_abi::OrtStatus* status = ort_abi::Run::call(runtime_.api, session_, nullptr, in_names.data(), in_values.data(), in_values.size(),
                                                  out_names.data(), out_names.size(), out_values.data());
  std::vector<Value> outputs;
  outputs.reserve(out_values.size());
  for (ort_abi::OrtValue* value : out_values) outputs.emplace_back(runtime_, value);
  runtime_.check(status, kRunProblem);
  return outputs;
}

std::string Session::end_profiling() const {
  char* path = nullptr;
  runtime_.check(ort_abi::SessionEndProfiling::call(runtime_.api, session_, runtime_.allocator, &path), kRunProblem);
  const std::string text = path;
  runtime_.check(ort_abi::AllocatorFree::call(runtime_.api, runtime_.allocator, path), kRunProblem);
  return text;
}

}  // namespace bnn_ort
