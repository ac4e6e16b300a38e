#include "node_ort/runtime.h"

#include "node_ort/library.h"

#include <map>
#include <mutex>

namespace bnn_ort {

void Runtime::check(ort_abi::OrtStatus* status, const char* code) const {
  if (status == nullptr) return;
  const std::string text = ort_abi::GetErrorMessage::call(api, status);
  ort_abi::ReleaseStatus::call(api, status);
  throw Problem{code, text};
}

static Runtime* load(const std::string& path) {
  // onnxruntime-node links to the same file: the loader then returns the library that is already there.
  const auto get_base = reinterpret_cast<const ort_abi::OrtApiBase* (*)()>(find_symbol(open_library(path), "OrtGetApiBase"));
  if (get_base == nullptr) throw Problem{kRuntimeProblem, path + " does not export OrtGetApiBase"};
  const ort_abi::OrtApiBase* base = get_base();
  auto* runtime = new Runtime{};
  runtime->version = base->GetVersionString();
  runtime->api_version = ort_abi::common_version(base);
  runtime->api = runtime->api_version == 0 ? nullptr : base->GetApi(runtime->api_version);
  if (runtime->api == nullptr) {
    throw Problem{kRuntimeProblem, "onnxruntime " + runtime->version + " is older than 1." + std::to_string(ort_abi::kLeastVersion) +
                                       ", the oldest that works"};
  }
  runtime->check(ort_abi::CreateEnv::call(runtime->api, ort_abi::kLogFatal, "bnn", &runtime->env), kRuntimeProblem);
  runtime->check(ort_abi::GetAllocatorWithDefaultOptions::call(runtime->api, &runtime->allocator), kRuntimeProblem);
  runtime->check(ort_abi::CreateCpuMemoryInfo::call(runtime->api, ort_abi::kArenaAllocator, ort_abi::kDefaultMemory, &runtime->memory),
                 kRuntimeProblem);
  return runtime;
}

const Runtime& open_runtime(const std::string& path) {
  // Never destroyed: a session may be released while the process shuts down.
  static auto* mutex = new std::mutex();
  static auto* runtimes = new std::map<std::string, Runtime*>();
  const std::lock_guard<std::mutex> lock(*mutex);
  Runtime*& runtime = (*runtimes)[path];
  if (runtime == nullptr) runtime = load(path);
  return *runtime;
}

}  // namespace bnn_ort
