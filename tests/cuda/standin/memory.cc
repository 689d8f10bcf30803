#include "tests/cuda/standin/memory.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// Present only in a build with AddressSanitizer.
extern "C" __attribute__((weak)) void __asan_poison_memory_region(const volatile void*, size_t);
extern "C" __attribute__((weak)) void __asan_unpoison_memory_region(const volatile void*, size_t);

namespace cliptag::standin {
namespace {

constexpr size_t kGuard = 256;
// CUDA promises 256 bytes of alignment; a card gives 512. A multiple of 256 alone finds whoever
// relies on more.
constexpr size_t kUnit = 512;
constexpr size_t kPage = 4096;
constexpr size_t kReserve = size_t{64} << 30;
constexpr unsigned char kPoison = 0xff;

void Allow(uintptr_t at, size_t bytes) {
  if (__asan_unpoison_memory_region) {
    __asan_unpoison_memory_region(reinterpret_cast<void*>(at), bytes);
  }
}

// Nobody has a right to these bytes from now on.
void Poison(uintptr_t at, size_t bytes) {
  Allow(at, bytes);
  std::memset(reinterpret_cast<void*>(at), kPoison, bytes);
  if (__asan_poison_memory_region) __asan_poison_memory_region(reinterpret_cast<void*>(at), bytes);
}

bool IsPoison(uintptr_t at, size_t bytes) {
  if (WatchesEveryByte()) return true;
  const auto* p = reinterpret_cast<const unsigned char*>(at);
  return bytes == 0 || (p[0] == kPoison && std::memcmp(p, p + 1, bytes - 1) == 0);
}

std::string Hex(uintptr_t value) {
  char text[32];
  snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace

bool WatchesEveryByte() { return __asan_poison_memory_region != nullptr; }

// The arena is opened and closed to the host as a whole, by one call however many blocks there are,
// which makes pages without protection of no use as guards. What lies behind the end of a mapped
// file cannot be touched whatever its protection: of an empty one, all of it.
class GuardPages {
 public:
  explicit GuardPages(const DeviceMemory& memory)
      : memory_(memory), file_(memfd_create("guard", MFD_CLOEXEC)) {}
  ~GuardPages() { close(file_); }
  GuardPages(const GuardPages&) = delete;
  GuardPages& operator=(const GuardPages&) = delete;

  // The arena is open.
  void Put(uintptr_t at) {
    if (installed_.exchange(this) == nullptr) Install();
    mmap(reinterpret_cast<void*>(at), kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file_,
         static_cast<off_t>(at - memory_.base_));
  }
  // To memory as any other.
  static void TakeBack(uintptr_t at, size_t bytes, int protection) {
    mmap(reinterpret_cast<void*>(at), bytes, protection,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  }

 private:
  // So that the end of the process says what it was.
  static void Install() {
    struct sigaction action = {};
    action.sa_sigaction = Report;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, &previous_);
  }
  static void Report(int, siginfo_t* info, void*) {
    const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
    const GuardPages* pages = installed_;
    if (pages->memory_.InArena(info->si_addr)) {
      const std::string text = "a kernel touched " + pages->memory_.WhereIs(at) + "\n";
      (void)!write(STDERR_FILENO, text.data(), text.size());
    }
    sigaction(SIGBUS, &previous_, nullptr);  // and comes again
  }

  static inline std::atomic<const GuardPages*> installed_ = nullptr;
  static inline struct sigaction previous_ = {};

  const DeviceMemory& memory_;
  int file_;
};

DeviceMemory::~DeviceMemory() = default;

DeviceMemory::DeviceMemory() : pages_(std::make_unique<GuardPages>(*this)) {
  // A process with a limit on its address space gets less.
  for (reserved_ = kReserve; reserved_ >= size_t{1} << 28; reserved_ /= 2) {
    void* p =
        mmap(nullptr, reserved_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) {
      base_ = reinterpret_cast<uintptr_t>(p);
      return;
    }
  }
  reserved_ = 0;
}

void DeviceMemory::Open() {
  if (open_++ > 0 || used_ == accessible_) return;
  mprotect(reinterpret_cast<void*>(base_), used_, PROT_READ | PROT_WRITE);
  accessible_ = used_;
}

void DeviceMemory::Close() {
  if (--open_ > 0 || !protect_ || accessible_ == 0) return;
  mprotect(reinterpret_cast<void*>(base_), accessible_, PROT_NONE);
  accessible_ = 0;
}

void DeviceMemory::Configure(bool protect, bool guard_pages) {
  protect_ = protect;
  guard_pages_ = guard_pages && !WatchesEveryByte();
  allocated_ = 0;
  const Access access(*this);  // its end protects, or does not
}

uintptr_t DeviceMemory::TakeSpan(size_t span) {
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second < span) continue;
    const auto [at, size] = *it;
    free_.erase(it);
    if (size > span) free_.emplace(at + span, size - span);
    return at;
  }
  // The arena must be closed and opened anew over the longer prefix.
  if (span > reserved_ - used_) return 0;
  const uintptr_t at = base_ + used_;
  used_ += span;
  if (open_ > 0) {
    mprotect(reinterpret_cast<void*>(base_), used_, PROT_READ | PROT_WRITE);
    accessible_ = used_;
  }
  return at;
}

void DeviceMemory::ReleaseSpan(uintptr_t at, size_t span) {
  auto next = free_.lower_bound(at);
  if (next != free_.end() && at + span == next->first) {
    span += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == at) {
      previous->second += span;
      return;
    }
  }
  free_.emplace(at, span);
}

DeviceMemory::Block DeviceMemory::Place(size_t bytes) {
  // Guards of at least kGuard on both sides; the address is an odd multiple of 256.
  Block block;
  block.bytes = bytes;
  block.before = kGuard;
  block.span = kUnit + (bytes + kGuard + kUnit - 1) / kUnit * kUnit;
  if (!guard_pages_) return block;
  // With pages around: that, right behind a page, or as close before one as 256 bytes of alignment
  // let it be; in no order that a program's own could keep step with.
  const size_t turn = (++allocated_ * 2654435761u >> 16) % 3;
  if (turn != 0) block.span = bytes;
  block.span = (block.span + kPage - 1) / kPage * kPage;
  if (turn == 1) block.before = 0;
  if (turn == 2) block.before = (block.span - bytes) / kGuard * kGuard;
  return block;
}

void* DeviceMemory::Allocate(size_t bytes, int device) {
  if (bytes > reserved_) return nullptr;
  Block block = Place(bytes);
  block.device = device;
  const size_t page = guard_pages_ ? kPage : 0;
  const uintptr_t taken = TakeSpan(block.span + 2 * page);
  if (taken == 0) return nullptr;
  const Access access(*this);
  const uintptr_t at = taken + page;
  if (guard_pages_) {
    pages_->Put(taken);
    pages_->Put(at + block.span);
  }
  Poison(at, block.span);
  const uintptr_t address = at + block.before;
  Allow(address, bytes);
  blocks_[address] = block;
  return reinterpret_cast<void*>(address);
}

bool DeviceMemory::Free(void* p, std::vector<std::string>& problems) {
  const auto it = blocks_.find(reinterpret_cast<uintptr_t>(p));
  if (it == blocks_.end()) return false;
  const Access access(*this);
  const std::string guards = CheckGuards();
  if (!guards.empty()) problems.push_back(guards);
  const uintptr_t at = it->first - it->second.before;
  const size_t span = it->second.span;
  blocks_.erase(it);
  Poison(at, span);
  quarantine_.emplace_back(at, span);
  quarantine_bytes_ += span;
  LeaveQuarantine(kQuarantineBytes, problems);
  return true;
}

void DeviceMemory::LeaveQuarantine(size_t limit, std::vector<std::string>& problems) {
  while (quarantine_bytes_ > limit || (guard_pages_ && quarantine_.size() > kQuarantineSpans)) {
    const auto [at, span] = quarantine_.front();
    quarantine_.pop_front();
    quarantine_bytes_ -= span;
    if (!IsPoison(at, span)) {
      problems.push_back("device memory around " + Hex(at) + " was written to after it was freed");
    }
    const size_t page = guard_pages_ ? kPage : 0;
    if (guard_pages_) {
      for (const uintptr_t guard : {at - kPage, at + span}) {
        GuardPages::TakeBack(guard, kPage, PROT_READ | PROT_WRITE);
      }
    }
    ReleaseSpan(at - page, span + 2 * page);
  }
}

const DeviceMemory::Block* DeviceMemory::Find(const void* p, size_t bytes) const {
  const auto address = reinterpret_cast<uintptr_t>(p);
  auto it = blocks_.upper_bound(address);
  if (it == blocks_.begin()) return nullptr;
  --it;
  const size_t offset = address - it->first;
  return offset <= it->second.bytes && bytes <= it->second.bytes - offset ? &it->second : nullptr;
}

bool DeviceMemory::InArena(const void* p) const {
  const auto address = reinterpret_cast<uintptr_t>(p);
  return address >= base_ && address < base_ + reserved_;
}

size_t DeviceMemory::live_bytes(int device) const {
  size_t bytes = 0;
  for (const auto& [address, block] : blocks_) bytes += block.device == device ? block.bytes : 0;
  return bytes;
}

std::string DeviceMemory::CheckGuards() {
  const Access access(*this);
  std::string text;
  for (const auto& [address, block] : blocks_) {
    const uintptr_t end = address + block.bytes;
    // What is near: this is done after every operation.
    const size_t front = std::min(block.before, 2 * kUnit);
    const size_t tail = std::min(block.span - block.before - block.bytes, 2 * kUnit);
    const bool before = IsPoison(address - front, front), after = IsPoison(end, tail);
    if (before && after) continue;
    if (!text.empty()) text += "; ";
    text += std::string("wrote ") + (before ? "behind" : "in front of") + " the allocation of " +
            std::to_string(block.bytes) + " bytes at " + Hex(address);
    Poison(address - front, front);
    Poison(end, tail);
  }
  return text;
}

std::string DeviceMemory::WhereIs(uintptr_t address) const {
  const auto next = blocks_.upper_bound(address);
  const auto of = [](const std::pair<const uintptr_t, Block>& entry) {
    return " the allocation of " + std::to_string(entry.second.bytes) + " bytes at " +
           Hex(entry.first);
  };
  if (next != blocks_.end() && next->first - address <= kPage) {
    return "what lies " + std::to_string(next->first - address) + " bytes in front of" + of(*next);
  }
  if (next == blocks_.begin()) return Hex(address) + ", which is no allocation";
  const auto& last = *std::prev(next);
  const uintptr_t end = last.first + last.second.bytes;
  return "what lies " + std::to_string(address - std::min(address, end)) +
         " bytes behind the end of" + of(last);
}

void DeviceMemory::Clear(std::vector<std::string>& problems) {
  {
    const Access access(*this);
    const std::string guards = CheckGuards();
    if (!guards.empty()) problems.push_back(guards);
    LeaveQuarantine(0, problems);
  }
  blocks_.clear();
  free_.clear();
  if (used_ == 0) return;
  Allow(base_, used_);
  GuardPages::TakeBack(base_, used_, PROT_NONE);
  used_ = 0;
  accessible_ = 0;
}

void* PinnedMemory::Allocate(size_t bytes) {
  void* p = nullptr;
  if (posix_memalign(&p, 256, std::max<size_t>(bytes, 1)) != 0) return nullptr;
  std::memset(p, kPoison, bytes);
  blocks_[reinterpret_cast<uintptr_t>(p)] = bytes;
  return p;
}

bool PinnedMemory::Free(void* p) {
  if (blocks_.erase(reinterpret_cast<uintptr_t>(p)) == 0) return false;
  std::free(p);
  return true;
}

bool PinnedMemory::Find(const void* p, size_t bytes, bool& whole) const {
  const auto address = reinterpret_cast<uintptr_t>(p);
  auto it = blocks_.upper_bound(address);
  if (it == blocks_.begin()) return false;
  --it;
  const size_t offset = address - it->first;
  if (offset >= it->second) return false;
  whole = bytes <= it->second - offset;
  return true;
}

size_t PinnedMemory::live_bytes() const {
  size_t bytes = 0;
  for (const auto& [address, size] : blocks_) bytes += size;
  return bytes;
}

void PinnedMemory::Clear() {
  for (const auto& [address, size] : blocks_) std::free(reinterpret_cast<void*>(address));
  blocks_.clear();
}

}  // namespace cliptag::standin
