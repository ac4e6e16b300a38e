// The thread pool of a module without threads (threading/thread_pool.h).
#include <new>

#include "threading/thread_pool.h"

namespace bnn {
namespace {

struct Block {
  void* data = nullptr;
  size_t bytes = 0;
};
Block blocks[kSlots];

void release(Block& block) {
  ::operator delete(block.data, std::align_val_t{64});
  block = Block{};
}

}  // namespace

int thread_count() { return 1; }
void set_thread_count(int) {}
int start_threads() { return 1; }
int max_pieces() { return 1; }

int piece_count(int64_t, int64_t, int) { return 1; }

void run_pieces(int64_t count, int pieces, PieceFunction function, void* context) {
  for (int i = 0; i < pieces; i++) {
    const int64_t begin = count * i / pieces, end = count * (i + 1) / pieces;
    if (begin < end) function(context, 0, i, begin, end);
  }
}

Parallel pool_parallel() { return serial(); }

void* scratch_bytes(int, Slot slot, size_t bytes) {
  Block& block = blocks[static_cast<int>(slot)];
  if (block.bytes < bytes || block.data == nullptr) {
    release(block);
    const size_t rounded = (bytes + 4096 + 63) / 64 * 64;
    block = {::operator new(rounded, std::align_val_t{64}), rounded};
  }
  return block.data;
}

void release_scratch() {
  for (Block& block : blocks) release(block);
}

size_t scratch_total_bytes() {
  size_t total = 0;
  for (const Block& block : blocks) total += block.bytes;
  return total;
}

}  // namespace bnn
