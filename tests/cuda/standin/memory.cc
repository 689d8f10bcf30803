#include "tests/cuda/standin/memory.h"

#include <sys/mman.h>

#include <algorithm>
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

DeviceMemory::DeviceMemory() {
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

void DeviceMemory::set_protect(bool protect) {
  protect_ = protect;
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

void* DeviceMemory::Allocate(size_t bytes, int device) {
  // Guards of at least kGuard on both sides; the address is an odd multiple of 256.
  if (bytes > reserved_) return nullptr;
  const size_t span = kUnit + (bytes + kGuard + kUnit - 1) / kUnit * kUnit;
  const uintptr_t at = TakeSpan(span);
  if (at == 0) return nullptr;
  const Access access(*this);
  Poison(at, span);
  const uintptr_t address = at + kGuard;
  Allow(address, bytes);
  blocks_[address] = {bytes, span, device};
  return reinterpret_cast<void*>(address);
}

bool DeviceMemory::Free(void* p, std::vector<std::string>& problems) {
  const auto it = blocks_.find(reinterpret_cast<uintptr_t>(p));
  if (it == blocks_.end()) return false;
  const Access access(*this);
  const std::string guards = CheckGuards();
  if (!guards.empty()) problems.push_back(guards);
  const uintptr_t at = it->first - kGuard;
  const size_t span = it->second.span;
  blocks_.erase(it);
  Poison(at, span);
  quarantine_.emplace_back(at, span);
  quarantine_bytes_ += span;
  LeaveQuarantine(kQuarantineBytes, problems);
  return true;
}

void DeviceMemory::LeaveQuarantine(size_t limit, std::vector<std::string>& problems) {
  while (quarantine_bytes_ > limit) {
    const auto [at, span] = quarantine_.front();
    quarantine_.pop_front();
    quarantine_bytes_ -= span;
    if (!IsPoison(at, span)) {
      problems.push_back("device memory at " + Hex(at + kGuard) +
                         " was written to after it was freed");
    }
    ReleaseSpan(at, span);
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
    const size_t tail = address - kGuard + block.span - end;
    const bool before = IsPoison(address - kGuard, kGuard), after = IsPoison(end, tail);
    if (before && after) continue;
    if (!text.empty()) text += "; ";
    text += std::string("wrote ") + (before ? "behind" : "in front of") + " the allocation of " +
            std::to_string(block.bytes) + " bytes at " + Hex(address);
    Poison(address - kGuard, kGuard);
    Poison(end, tail);
  }
  return text;
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
  madvise(reinterpret_cast<void*>(base_), used_, MADV_DONTNEED);
  mprotect(reinterpret_cast<void*>(base_), used_, PROT_NONE);
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
