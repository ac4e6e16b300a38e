// A slow link between two network namespaces, where the kernel has no netem: two TAP devices, and between them a delay and a rate.
//
//     link TAP_A TAP_B DELAY_US MBIT_PER_S
//
// The devices are created here; whoever starts this moves them into namespaces (two-machines.sh). Large packets (MTU 65000) keep the cost low.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

using Clock = std::chrono::steady_clock;

static int open_tap(const char* name) {
  const int file = open("/dev/net/tun", O_RDWR);
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (file < 0 || ioctl(file, TUNSETIFF, &request) < 0) {
    perror(name);
    exit(1);
  }
  return file;
}

struct Packet {
  Clock::time_point due;
  std::vector<char> bytes;
};

struct Queue {
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<Packet> packets;
};

// Each packet leaves when those before it have left at the link's rate, and arrives after the delay.
static void take(int from, Queue& queue, Clock::duration delay, double bytes_per_second) {
  std::vector<char> buffer(70000);
  Clock::time_point free_at = Clock::now();
  for (;;) {
    const ssize_t length = read(from, buffer.data(), buffer.size());
    if (length <= 0) exit(0);
    free_at = std::max(free_at, Clock::now()) +
              std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(static_cast<double>(length) / bytes_per_second));
    const std::lock_guard<std::mutex> lock(queue.mutex);
    queue.packets.push_back({free_at + delay, {buffer.begin(), buffer.begin() + length}});
    queue.arrived.notify_one();
  }
}

static void give(int to, Queue& queue) {
  prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
  for (;;) {
    std::unique_lock<std::mutex> lock(queue.mutex);
    queue.arrived.wait(lock, [&] { return !queue.packets.empty(); });
    Packet packet = std::move(queue.packets.front());
    queue.packets.pop_front();
    lock.unlock();
    std::this_thread::sleep_until(packet.due);
    if (write(to, packet.bytes.data(), packet.bytes.size()) < 0 && errno != EIO) exit(0);
  }
}

int main(int count, char** arguments) {
  if (count != 5) return 2;
  const int first = open_tap(arguments[1]), second = open_tap(arguments[2]);
  const auto delay = std::chrono::microseconds(atol(arguments[3]));
  const double bytes_per_second = atof(arguments[4]) * 1e6 / 8;
  static Queue there, back;
  std::thread(take, first, std::ref(there), delay, bytes_per_second).detach();
  std::thread(take, second, std::ref(back), delay, bytes_per_second).detach();
  std::thread(give, second, std::ref(there)).detach();
  puts("ready");
  fflush(stdout);
  give(first, back);
}
