#include "node_ort/startable_threads.h"

#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace bnn_ort {

int startable_threads(int count) {
  std::mutex end;
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  {
    // Each waits until all have been started.
    const std::lock_guard<std::mutex> lock(end);
    try {
      while (threads.size() < static_cast<size_t>(count))
        threads.emplace_back([&end] { const std::lock_guard<std::mutex> wait(end); });
    } catch (const std::exception&) {
      // No more than these.
    }
  }
  for (std::thread& thread : threads) thread.join();
  return static_cast<int>(threads.size());
}

}  // namespace bnn_ort
