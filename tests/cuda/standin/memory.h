// The memory of the stand-in's devices and the host's pinned memory.
//
// Device memory is one reservation of address space: an allocation is surrounded by guards that
// hold 0xff, as does fresh and freed memory. Freed memory is used again only after kQuarantineBytes
// more were freed, and looked at then: a write to it is a problem to report. Reads are found, too:
// with AddressSanitizer of any byte that belongs to nobody, else where they reach the pages around
// an allocation, whose place between these changes from one to the next.
//
// Threads: guarded by the mutex of Runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace cliptag::standin {

// Whether a read or a write outside of the allocations ends the process at once, which then says
// where it was: with AddressSanitizer.
bool WatchesEveryByte();

class GuardPages;

class DeviceMemory {
 public:
  struct Block {
    size_t bytes = 0;   // as asked for
    size_t before = 0;  // of its span
    size_t span = 0;    // with poison on both sides, but without pages
    int device = 0;
  };

  DeviceMemory();
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // Null when there is no address space left.
  void* Allocate(size_t bytes, int device);
  // False if no allocation starts there. A damaged guard or quarantine is added to `problems`.
  bool Free(void* p, std::vector<std::string>& problems);
  // The live allocation that holds all these bytes, or null.
  const Block* Find(const void* p, size_t bytes) const;
  bool InArena(const void* p) const;
  const std::map<uintptr_t, Block>& blocks() const { return blocks_; }
  size_t live_bytes(int device) const;

  // Sentences about guards that were written to; empty when all is well. Restores them.
  std::string CheckGuards();
  // Takes back everything.
  void Clear(std::vector<std::string>& problems);

  // Of an address in the arena, in words.
  std::string WhereIs(uintptr_t address) const;

  // While nothing is allocated.
  void Configure(bool protect, bool guard_pages);
  // The time in which the arena may be touched; nests.
  class Access {
   public:
    explicit Access(DeviceMemory& memory) : memory_(memory) { memory_.Open(); }
    ~Access() { memory_.Close(); }
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;

   private:
    DeviceMemory& memory_;
  };

 private:
  friend class GuardPages;
  static constexpr size_t kQuarantineBytes = size_t{64} << 20;
  static constexpr size_t kQuarantineSpans = 200;  // between pages, which opening has to pass

  Block Place(size_t bytes);
  void Open();
  void Close();
  uintptr_t TakeSpan(size_t span);
  void ReleaseSpan(uintptr_t at, size_t span);
  void LeaveQuarantine(size_t limit, std::vector<std::string>& problems);

  uintptr_t base_ = 0;
  size_t reserved_ = 0, used_ = 0;  // used_: ever handed out, a prefix; grows by kGrowth
  size_t accessible_ = 0;           // of the prefix, while open
  int open_ = 0;
  bool protect_ = true, guard_pages_ = false;
  size_t allocated_ = 0;  // blocks, with pages around
  std::unique_ptr<GuardPages> pages_;
  std::map<uintptr_t, Block> blocks_;  // by the address that the host knows
  std::map<uintptr_t, size_t> free_;   // spans, merged
  std::deque<std::pair<uintptr_t, size_t>> quarantine_;
  size_t quarantine_bytes_ = 0;
};

// Page-locked memory: the host's own, remembered so that copies know it.
class PinnedMemory {
 public:
  void* Allocate(size_t bytes);
  bool Free(void* p);
  // Whether p lies in pinned memory; then `whole` says whether all bytes do.
  bool Find(const void* p, size_t bytes, bool& whole) const;
  size_t count() const { return blocks_.size(); }
  size_t live_bytes() const;
  void Clear();

 private:
  std::map<uintptr_t, size_t> blocks_;
};

}  // namespace cliptag::standin
