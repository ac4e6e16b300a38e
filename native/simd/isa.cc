#include "simd/isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "simd/isa_names.h"

namespace bnn {

CpuFlags cpu_flags() {
  CpuFlags flags = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) flags |= kAvx2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    flags |= kAvx512;
  }
  if (__builtin_cpu_supports("avx512vpopcntdq")) flags |= kAvx512Vpopcntdq;
#elif defined(__aarch64__)
  flags |= kNeon;
#elif defined(__wasm_simd128__)
  flags |= kSimd128;
#endif
  return flags;
}

bool choose_isa(CpuFlags flags, const char* forced, Isa* chosen) {
  const char* wanted = forced == nullptr ? "" : forced;
  bool isFound = wanted[0] == 0;
  *chosen = Isa::scalar;
  for (int i = 0; i < kIsaCount; i++) {
    if (!fits(kIsas[i].needs, flags)) continue;
    *chosen = static_cast<Isa>(i);
    if (std::strcmp(kIsas[i].name, wanted) != 0) continue;
    isFound = true;
    break;
  }
  return isFound;
}

static std::string names_within(CpuFlags flags, const char* separator) {
  std::string names;
  for (const IsaRow& isa : kIsas) {
    if (fits(isa.needs, flags)) names += (names.empty() ? "" : separator) + std::string(isa.name);
  }
  return names;
}

std::string available_isas(const char* separator) { return names_within(cpu_flags(), separator); }
std::string compiled_isas(const char* separator) { return names_within(kArchitectureFlags, separator); }

std::string isa_problem() {
  const char* forced = std::getenv("BNN_KERNEL");
  Isa chosen;
  if (choose_isa(cpu_flags(), forced, &chosen)) return "";
  return "BNN_KERNEL is \"" + std::string(forced) + "\", but the kernels that this processor can run are " + available_isas(", ");
}

static std::atomic<Isa>& active() {
  static std::atomic<Isa> value{[] {
    Isa chosen;
    choose_isa(cpu_flags(), std::getenv("BNN_KERNEL"), &chosen);
    return chosen;
  }()};
  return value;
}

Isa active_isa() { return active().load(std::memory_order_relaxed); }

bool set_active_isa(const char* name) {
  Isa chosen;
  if (name[0] == 0 || !choose_isa(cpu_flags(), name, &chosen)) return false;
  active().store(chosen, std::memory_order_relaxed);
  return true;
}

}  // namespace bnn
