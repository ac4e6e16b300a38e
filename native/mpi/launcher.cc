#include "mpi/launcher.h"

#if defined(__linux__)

#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace bnn_mpi {
namespace {

constexpr unsigned kPatienceSeconds = 3, kMercySeconds = 2;
constexpr int kMostOpenFiles = 4096;
constexpr size_t kMost = 8;

struct Program {
  pid_t id;
  char name[16];
};

// Of Open MPI and PRRTE, and of MPICH. Not those of a scheduler, which look after themselves.
bool is_launcher(const char* name) {
  constexpr const char* kNames[] = {"mpirun", "mpiexec", "orterun", "orted", "prterun", "prted", "hydra_pmi_proxy"};
  for (const char* known : kNames) {
    if (strncmp(name, known, strlen(known)) == 0) return true;
  }
  return false;
}

// The name of a process, as long as the system keeps it; may be called after a fork.
bool read_name(pid_t id, char (&name)[16]) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/comm", static_cast<int>(id));
  const int file = open(path, O_RDONLY);
  if (file < 0) return false;
  const ssize_t length = read(file, name, sizeof name - 1);
  close(file);
  if (length <= 0) return false;
  name[length] = '\0';
  name[strcspn(name, "\n")] = '\0';
  return true;
}

pid_t parent_of(pid_t id) {
  const std::string path = "/proc/" + std::to_string(id) + "/stat";
  FILE* file = fopen(path.c_str(), "r");
  if (file == nullptr) return 0;
  int parent = 0;
  if (fscanf(file, "%*d (%*[^)]) %*c %d", &parent) != 1) parent = 0;
  fclose(file);
  return parent;
}

void signal_all(const std::array<Program, kMost>& programs, size_t count, int signal) {
  for (size_t i = 0; i < count; i++) {
    char name[16];
    if (read_name(programs[i].id, name) && strcmp(name, programs[i].name) == 0) kill(programs[i].id, signal);
  }
}

}  // namespace

void end_launchers_later() {
  std::array<Program, kMost> programs{};
  size_t count = 0;
  for (pid_t id = getppid(); id > 1 && count < kMost; id = parent_of(id)) {
    Program program{id, ""};
    if (!read_name(id, program.name) || !is_launcher(program.name)) break;
    programs[count++] = program;
  }
  if (count == 0 || fork() != 0) return;
  setsid();
  // They wait until nobody has the pipes open that they read.
  for (int file = 0; file < kMostOpenFiles; file++) close(file);
  sleep(kPatienceSeconds);
  signal_all(programs, count, SIGTERM);
  sleep(kMercySeconds);
  signal_all(programs, count, SIGKILL);
  _exit(0);
}

}  // namespace bnn_mpi

#else

namespace bnn_mpi {
void end_launchers_later() {}
}  // namespace bnn_mpi

#endif
