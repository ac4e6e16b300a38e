// Each loop below is the plain form of its instruction set: xor, population count, add. Where a set has no population count of
// vectors (AVX2), it is the two table lookups of nibbles; a kernel that first adds bits with carry-save adders may be faster than that.
//
// The empty `asm` statements make an operand unknown to the compiler, which would otherwise move the whole count out of the loop;
// they emit nothing.
#include "node_ort/popcount_limit.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <thread>

#include "simd/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace bnn_ort {
namespace {

// As many independent sums as hide the latency of the chain on current processors.
constexpr int kSums = 8;
// Steps per iteration: the loop's own instructions vanish beside them.
constexpr int kUnroll = 4;

// Runs `iterations` and returns the bits that were counted; the sum goes to `sink` so that it is needed.
using Loop = double (*)(int64_t iterations, uint64_t* sink);

#if defined(__x86_64__)
#define BNN_POPCNT __attribute__((target("popcnt")))
#else
#define BNN_POPCNT
#endif

BNN_POPCNT double count_scalar(int64_t iterations, uint64_t* sink) {
  uint64_t sums[kSums] = {};
  uint64_t x = *sink + 1;
  uint64_t y = 0x1234567;
  __asm__ volatile("" : "+r"(y));
  for (int64_t i = 0; i < iterations; i++) {
#pragma GCC unroll 4
    for (int step = 0; step < kUnroll; step++) {
#pragma GCC unroll 8
      for (int k = 0; k < kSums; k++) {
        __asm__ volatile("" : "+r"(x));
        sums[k] += static_cast<uint64_t>(__builtin_popcountll(x ^ y));
      }
    }
  }
  for (const uint64_t sum : sums) *sink += sum;
  return static_cast<double>(iterations) * kUnroll * kSums * 64;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) double count_avx2(int64_t iterations, uint64_t* sink) {
  const __m256i table =
      _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(15);
  __m256i x = _mm256_set1_epi64x(static_cast<int64_t>(*sink + 1));
  const __m256i y = _mm256_set1_epi64x(0x1234567);
  __m256i totals = _mm256_setzero_si256();
  for (int64_t i = 0; i < iterations; i++) {
    __m256i sums[4] = {};
    // Bytes hold 31 counts of at most 8; here 4 sums take 8 each before they are widened.
#pragma GCC unroll 32
    for (int step = 0; step < kUnroll * kSums; step++) {
      __asm__ volatile("" : "+x"(x));
      const __m256i difference = _mm256_xor_si256(x, y);
      const __m256i lower = _mm256_shuffle_epi8(table, _mm256_and_si256(difference, low));
      const __m256i upper = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(difference, 4), low));
      sums[step % 4] = _mm256_add_epi8(sums[step % 4], _mm256_add_epi8(lower, upper));
    }
    const __m256i a = _mm256_sad_epu8(_mm256_add_epi8(sums[0], sums[1]), _mm256_setzero_si256());
    const __m256i b = _mm256_sad_epu8(_mm256_add_epi8(sums[2], sums[3]), _mm256_setzero_si256());
    totals = _mm256_add_epi64(totals, _mm256_add_epi64(a, b));
  }
  *sink += static_cast<uint64_t>(_mm256_extract_epi64(totals, 0) + _mm256_extract_epi64(totals, 3));
  return static_cast<double>(iterations) * kUnroll * kSums * 256;
}

__attribute__((target("avx512f,avx512vpopcntdq"))) double count_avx512(int64_t iterations, uint64_t* sink) {
  __m512i sums[kSums];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  __m512i x = _mm512_set1_epi64(static_cast<int64_t>(*sink + 1));
  const __m512i y = _mm512_set1_epi64(0x1234567);
  for (int64_t i = 0; i < iterations; i++) {
#pragma GCC unroll 4
    for (int step = 0; step < kUnroll; step++) {
#pragma GCC unroll 8
      for (int k = 0; k < kSums; k++) {
        __asm__ volatile("" : "+v"(x));
        sums[k] = _mm512_add_epi64(sums[k], _mm512_popcnt_epi64(_mm512_xor_si512(x, y)));
      }
    }
  }
  for (const __m512i& sum : sums) {
    uint64_t parts[8];
    _mm512_storeu_si512(parts, sum);
    for (const uint64_t part : parts) *sink += part;
  }
  return static_cast<double>(iterations) * kUnroll * kSums * 512;
}
#elif defined(__aarch64__)
double count_neon(int64_t iterations, uint64_t* sink) {
  uint8x16_t x = vdupq_n_u8(static_cast<uint8_t>(*sink + 1));
  const uint8x16_t y = vdupq_n_u8(0x67);
  uint16x8_t totals[4] = {vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0)};
  for (int64_t i = 0; i < iterations; i++) {
    uint8x16_t sums[4] = {vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)};
#pragma GCC unroll 32
    for (int step = 0; step < kUnroll * kSums; step++) {
      __asm__ volatile("" : "+w"(x));
      sums[step % 4] = vaddq_u8(sums[step % 4], vcntq_u8(veorq_u8(x, y)));
    }
    // The totals wrap, which does not matter: only the time does.
    for (int k = 0; k < 4; k++) totals[k] = vpadalq_u8(totals[k], sums[k]);
  }
  for (const uint16x8_t total : totals) *sink += vaddlvq_u16(total);
  return static_cast<double>(iterations) * kUnroll * kSums * 128;
}
#endif

struct LimitRow {
  const char* name;
  Loop loop;
};

#if defined(__x86_64__)
constexpr LimitRow kAvx512Loop{"avx512vpopcntdq", count_avx512}, kAvx2Loop{"avx2", count_avx2};
#elif defined(__aarch64__)
constexpr LimitRow kNeonLoop{"neon", count_neon};
#endif
constexpr LimitRow kScalarLoop{"scalar", count_scalar};

using bnn::Isa;
using bnn::needs_of;

constexpr bnn::KernelRow<LimitRow> kRows[] = {
#if defined(__x86_64__)
    {needs_of(Isa::avx512vpopcntdq), &kAvx512Loop},
    {needs_of(Isa::avx2), &kAvx2Loop},
#elif defined(__aarch64__)
    {needs_of(Isa::neon), &kNeonLoop},
#endif
    {needs_of(Isa::scalar), &kScalarLoop},
};

bool can_run(const bnn::KernelRow<LimitRow>& row) {
#if defined(__x86_64__)
  // Every processor with vectors has it; the loop without them needs it as well.
  if (!bnn::fits(bnn::kPopcnt, bnn::cpu_flags())) return false;
#endif
  return bnn::fits(row.needs, bnn::cpu_flags());
}

Loop find(const std::string& name) {
  for (const auto& row : kRows) {
    if (name == row.row->name && can_run(row)) return row.row->loop;
  }
  return nullptr;
}

double measure(Loop loop, double milliseconds) {
  using Clock = std::chrono::steady_clock;
  uint64_t sink = 0;
  const auto time = [&](int64_t iterations, double* bits) {
    const auto start = Clock::now();
    *bits = loop(iterations, &sink);
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  // Short ones: some then fall between the interruptions of a busy machine.
  constexpr int kSlices = 100;
  const double slice = milliseconds / 1000 / kSlices;
  int64_t iterations = 1000;
  double bits = 0;
  while (time(iterations, &bits) < slice && iterations < (int64_t{1} << 40)) iterations *= 2;
  double best = 0;
  for (int i = 0; i < kSlices; i++) {
    const double seconds = time(iterations, &bits);
    best = std::max(best, bits / seconds);
  }
  // Reads the sum, so that no loop is without effect.
  __asm__ volatile("" : : "r"(sink));
  return best;
}

}  // namespace

std::vector<std::string> popcount_rows() {
  std::vector<std::string> rows;
  for (const auto& row : kRows) {
    if (can_run(row)) rows.insert(rows.begin(), row.row->name);
  }
  return rows;
}

std::string popcount_row(const std::string& forced) {
  Isa chosen;
  return bnn::choose_isa(bnn::cpu_flags(), forced.c_str(), &chosen) ? bnn::choose_row(kRows, needs_of(chosen)).name : "";
}

double popcount_limit(const std::string& row, int threads, double milliseconds) {
  const Loop loop = find(row);
  if (loop == nullptr) return 0;
  std::vector<double> rates(static_cast<size_t>(threads), 0);
  std::vector<std::thread> workers;
  workers.reserve(rates.size());
  try {
    for (double& rate : rates) workers.emplace_back([&rate, loop, milliseconds] { rate = measure(loop, milliseconds); });
  } catch (const std::exception&) {
    // The system starts no more. This thread is there in any case.
    if (workers.empty()) rates[0] = measure(loop, milliseconds);
  }
  for (std::thread& worker : workers) worker.join();
  double total = 0;
  for (const double rate : rates) total += rate;
  return total;
}

}  // namespace bnn_ort
