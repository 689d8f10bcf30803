#include "models/io/lost_pages.h"

#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>

namespace cliptag {
namespace {

// `end` is 0 while a place is free or changes; see Covers.
struct Place {
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<bool> lost{false};
};

constexpr int kPlaces = 512;
Place places[kPlaces];
std::mutex places_mutex;  // of those who watch and unwatch, not of the handler
struct sigaction before;

static_assert(std::atomic<uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free,
              "a signal handler takes no lock");

// Whether the address lies in that place, and where the place begins and ends. Another thread may
// be changing it: reading `end` on both sides of `begin` tells.
bool Covers(const Place& place, uintptr_t address, uintptr_t* begin, uintptr_t* end) {
  *end = place.end.load();
  *begin = place.begin.load();
  return address >= *begin && address < *end && place.end.load() == *end;
}

bool PutZeros(uintptr_t address) {
  for (Place& place : places) {
    uintptr_t begin = 0, end = 0;
    if (!Covers(place, address, &begin, &end)) continue;
    place.lost.store(true);
    return mmap(reinterpret_cast<void*>(begin), end - begin, PROT_READ,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
  }
  return false;
}

void OnSigbus(int number, siginfo_t* info, void* context) {
  const int error = errno;
  // A positive code is the kernel's own: the address is the page's.
  const bool ours = info->si_code > 0 && PutZeros(reinterpret_cast<uintptr_t>(info->si_addr));
  errno = error;
  if (ours) return;
  if (before.sa_flags & SA_SIGINFO) {
    before.sa_sigaction(number, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(number);
  } else if (info->si_code > 0 || before.sa_handler == SIG_DFL) {
    // The instruction runs again, or the signal comes again, and ends the process as it would have.
    signal(number, SIG_DFL);
    if (info->si_code <= 0) raise(number);
  }
}

// Under places_mutex.
void Install() {
  static bool installed = false;
  if (installed) return;
  sigaction(SIGBUS, nullptr, &before);
  struct sigaction action {};
  action.sa_sigaction = OnSigbus;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&action.sa_mask);
  installed = sigaction(SIGBUS, &action, nullptr) == 0;
}

}  // namespace

int WatchForLostPages(void* address, size_t bytes) {
  const std::lock_guard lock(places_mutex);
  Install();
  for (int i = 0; i < kPlaces; ++i) {
    if (places[i].end.load() != 0) continue;
    const auto begin = reinterpret_cast<uintptr_t>(address);
    places[i].lost.store(false);
    places[i].begin.store(begin);
    places[i].end.store(begin + bytes);
    return i;
  }
  return -1;
}

bool PagesWereLost(int place) { return places[place].lost.load(); }

void UnwatchForLostPages(int place) {
  const std::lock_guard lock(places_mutex);
  places[place].end.store(0);
}

}  // namespace cliptag
