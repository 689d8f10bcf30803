#include "plugin/cli/formats/unfinished_file.h"

#include <signal.h>
#include <unistd.h>

#include <cassert>
#include <memory>

namespace cliptag {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
constexpr size_t kCount = std::size(kSignals);

char* path_of_file = nullptr;  // what the handler reads; set only while it is not installed
struct sigaction before[kCount];

// With SA_RESETHAND the signal, sent once more, does what it does by itself.
void Remove(int number) {
  unlink(path_of_file);
  raise(number);
}

}  // namespace

UnfinishedFile::UnfinishedFile(const std::string& path) {
  assert(path_of_file == nullptr);
  path_of_file = new char[path.size() + 1];
  path.copy(path_of_file, path.size());
  path_of_file[path.size()] = '\0';
  struct sigaction remove {};
  remove.sa_handler = Remove;
  remove.sa_flags = SA_RESETHAND;
  for (size_t i = 0; i < kCount; ++i) {
    sigaction(kSignals[i], nullptr, &before[i]);
    if (before[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &remove, nullptr);
  }
}

UnfinishedFile::~UnfinishedFile() {
  for (size_t i = 0; i < kCount; ++i) sigaction(kSignals[i], &before[i], nullptr);
  delete[] path_of_file;
  path_of_file = nullptr;
}

}  // namespace cliptag
