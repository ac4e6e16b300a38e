// The thread pool of a module without threads (threading/thread_pool.h).
#include "threading/thread_pool.h"

namespace bnn {

int thread_count() { return 1; }
void set_thread_count(int) {}
int start_threads() { return 1; }
int max_pieces() { return 1; }

void run_pieces(int64_t count, int pieces, PieceFunction function, void* context) {
  for (int i = 0; i < pieces; i++) {
    const int64_t begin = count * i / pieces, end = count * (i + 1) / pieces;
    if (begin < end) function(context, 0, i, begin, end);
  }
}

Parallel pool_parallel() { return serial(); }

}  // namespace bnn
