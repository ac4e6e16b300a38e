// Entry point of the Node addon: settings and memory; the kernels are defined in the other files of this folder.
#include "kernels/conv2d/bf16.h"
#include "kernels/peak/peak.h"
#include "node/args.h"
#include "node/program.h"
#include "simd/isa.h"
#include "simd/isa_names.h"
#include "threading/thread_pool.h"

#include <mutex>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace bnn_node {

void fail(const std::string& message) { throw ArgumentError{message}; }

static std::mutex& kernel_mutex() {
  static std::mutex* mutex = new std::mutex();
  return *mutex;
}
void lock_kernels() { kernel_mutex().lock(); }
void unlock_kernels() { kernel_mutex().unlock(); }

namespace {

napi_value to_number(Args& args, double number) { return bnn_node_api::new_number(args.env(), number); }
napi_value to_string(Args& args, const std::string& text) { return bnn_node_api::new_text(args.env(), text); }

napi_value isa(Args& args) { return to_string(args, bnn::isa_name(bnn::active_isa())); }

// Names of the usable instruction sets, worst first, separated by commas.
napi_value isas(Args& args) { return to_string(args, bnn::available_isas(",")); }

napi_value compiled_isas(Args& args) { return to_string(args, bnn::compiled_isas(",")); }

napi_value set_isa(Args& args) {
  const std::string name = args.text(0);
  if (!bnn::set_active_isa(name.c_str())) fail("instruction set '" + name + "' is not available here");
  return nullptr;
}

napi_value faster_in_bf16(Args& args) {
  napi_value value = nullptr;
  napi_get_boolean(args.env(), bnn::is_bf16_faster(), &value);
  return value;
}

napi_value threads(Args& args) { return to_number(args, bnn::thread_count()); }

napi_value set_threads(Args& args) {
  bnn::set_thread_count(static_cast<int>(args.integer(0, 1, bnn::kMaxThreads)));
  return nullptr;
}

napi_value start_threads(Args& args) { return to_number(args, bnn::start_threads()); }

// Bytes from the start of an ArrayBuffer to its first multiple of 64. Also asks for huge pages where the buffer is large.
napi_value align(Args& args) {
  void* data = nullptr;
  size_t bytes = 0;
  if (napi_get_arraybuffer_info(args.env(), args.value(0), &data, &bytes) != napi_ok) fail("argument 0 is not an ArrayBuffer");
  const uintptr_t address = reinterpret_cast<uintptr_t>(data);
#if defined(__linux__)
  constexpr uintptr_t kHuge = uintptr_t{2} << 20;
  const uintptr_t first = (address + kHuge - 1) / kHuge * kHuge;
  const uintptr_t last = (address + bytes) / kHuge * kHuge;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
  return to_number(args, static_cast<double>((64 - address % 64) % 64));
}

napi_value multiply_add_peak(Args& args) { return to_number(args, bnn::multiply_add_peak()); }

napi_value scratch_bytes(Args& args) { return to_number(args, static_cast<double>(bnn::scratch_total_bytes())); }

napi_value release_scratch(Args&) {
  bnn::release_scratch();
  return nullptr;
}

}  // namespace
}  // namespace bnn_node

NAPI_MODULE_INIT() {
  using namespace bnn_node;
  const std::string problem = bnn::isa_problem();
  if (!problem.empty()) {
    napi_throw_error(env, nullptr, problem.c_str());
    return nullptr;
  }
  bnn_node_api::define(env, exports, "isa", call<isa>);
  bnn_node_api::define(env, exports, "isas", call<isas>);
  bnn_node_api::define(env, exports, "compiledIsas", call<compiled_isas>);
  bnn_node_api::define(env, exports, "setIsa", call<set_isa>);
  bnn_node_api::define(env, exports, "fasterInBf16", call<faster_in_bf16>);
  bnn_node_api::define(env, exports, "threads", call<threads>);
  bnn_node_api::define(env, exports, "setThreads", call<set_threads>);
  bnn_node_api::define(env, exports, "startThreads", call<start_threads>);
  bnn_node_api::define(env, exports, "align", call<align>);
  bnn_node_api::define(env, exports, "multiplyAddPeak", call<multiply_add_peak>);
  bnn_node_api::define(env, exports, "scratchBytes", call<scratch_bytes>);
  bnn_node_api::define(env, exports, "releaseScratch", call<release_scratch>);
  define_convolutions(env, exports);
  define_elementwise(env, exports);
  define_sign_gradients(env, exports);
  define_batch_norm(env, exports);
  define_movement(env, exports);
  define_programs(env, exports);
  return exports;
}
