#include "simd/isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "simd/isa_names.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace bnn {

#if defined(__APPLE__)
// Whether the system says so of the processor.
static bool is_told(const char* name) {
  int supported = 0;
  size_t size = sizeof supported;
  return sysctlbyname(name, &supported, &size, nullptr, 0) == 0 && supported != 0;
}
#endif

#if defined(__x86_64__)

namespace {

constexpr bool has(uint32_t word, int bit) { return (word >> bit & 1) != 0; }

// Which registers the system saves: bits 1 and 2 are xmm and ymm, 5 to 7 the masks and zmm.
uint64_t saved_state() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

bool saves_avx512(uint64_t state) {
#if defined(__APPLE__)
  // macOS sets the bits when a thread first uses the registers.
  if (is_told("hw.optional.avx512f")) return true;
#endif
  return (state & 0xe6) == 0xe6;
}

}  // namespace

// From the processor itself: what GCC and Clang offer for it is in libraries that are not everywhere, and does not know all of these.
// Bits: Intel's Software Developer's Manual, volume 2, CPUID.
CpuFlags cpu_flags() {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  CpuFlags flags = has(c, 23) ? kPopcnt : 0;
  const bool fma = has(c, 12), osxsave = has(c, 27), avx = has(c, 28), f16c = has(c, 29);
  if (!fma || !osxsave || !avx || !f16c || !has(c, 23) || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return flags;
  const uint64_t state = saved_state();
  if ((state & 6) != 6 || !has(b, 5)) return flags;
  flags |= kAvx2;
  if (!saves_avx512(state)) return flags;
  if (has(b, 16) && has(b, 17) && has(b, 30) && has(b, 31)) flags |= kAvx512;
  if (has(c, 11) && has(c, 14)) flags |= kAvx512Vpopcntdq;
  if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && has(a, 5)) flags |= kAvx512Bf16;
  return flags;
}

#elif defined(__aarch64__)
// Windows on ARM is not asked: nothing that it runs on here has been tried.
CpuFlags cpu_flags() {
#if defined(__APPLE__)
  const bool bf16 = is_told("hw.optional.arm.FEAT_BF16");
#elif defined(__linux__)
  // HWCAP2_BF16 of Linux's arch/arm64/include/uapi/asm/hwcap.h, which older headers lack.
  const bool bf16 = (getauxval(AT_HWCAP2) >> 14 & 1) != 0;
#else
  const bool bf16 = false;
#endif
  return bf16 ? kNeon | kNeonBf16 : kNeon;
}
#elif defined(__wasm_simd128__)
CpuFlags cpu_flags() { return kSimd128; }
#else
CpuFlags cpu_flags() { return 0; }
#endif

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
