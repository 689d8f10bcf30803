// Launches, blocks, barriers and the memories.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "tests/cuda/emulation/machine.h"

// Present only in a build with AddressSanitizer.
extern "C" __attribute__((weak)) void __asan_poison_memory_region(const volatile void*, size_t);
extern "C" __attribute__((weak)) void __asan_unpoison_memory_region(const volatile void*, size_t);

namespace cliptag::emulation {

constinit thread_local void* thread_context = nullptr;

namespace {

constexpr unsigned char kPoison = 0xff;    // NaN as f32, f16 and bf16; -1 as an integer
constexpr size_t kStaticBytes = 8 * 1024;  // room for StaticShared
constexpr int kLargestBlock = 1024;

// RAII for a gate's lock, which Sleep leaves held when it throws.
class GateLock {
 public:
  explicit GateLock(Gate& gate) : gate_(gate) { gate_.Lock(); }
  ~GateLock() { gate_.Unlock(); }
  GateLock(const GateLock&) = delete;
  GateLock& operator=(const GateLock&) = delete;

 private:
  Gate& gate_;
};

// The common part of barriers and warp-wide calls. `arrive` runs with the lock held.
template <typename Arrive, typename Last>
void Meet(Meeting& meeting, int expected, const char* call, const Site& site, Arrive&& arrive,
          Last&& last) {
  ThreadState& self = CurrentThread();
  const GateLock lock(meeting.gate);
  if (meeting.arrived == 0) {
    meeting.call = call;
    meeting.site = site;
  } else if (std::strcmp(meeting.call, call) != 0 || meeting.site.line() != site.line() ||
             std::strcmp(meeting.site.file_name(), site.file_name()) != 0) {
    Fail("divergence: thread " + std::to_string(self.thread_index.x) + " is at " + call + " (" +
         ToString(site) + ") while others of its group wait at " + meeting.call + " (" +
         ToString(meeting.site) + ")");
  }
  arrive();
  if (++meeting.arrived == expected) {
    last();
    meeting.arrived = 0;
    meeting.gate.Open();
    return;
  }
  self.whereabouts.file.store(site.file_name(), std::memory_order_relaxed);
  self.whereabouts.line.store(site.line(), std::memory_order_relaxed);
  self.whereabouts.call.store(call, std::memory_order_relaxed);
  meeting.gate.Sleep();
  self.whereabouts.call.store(nullptr, std::memory_order_relaxed);
}

std::string FileName(const char* path) {
  const std::string text = path;
  return text.substr(text.rfind('/') + 1);
}

std::string Describe(const Whereabouts& where) {
  const char* call = where.call.load(std::memory_order_relaxed);
  if (where.finished.load(std::memory_order_relaxed)) return "have left the kernel";
  if (!call) return "are running";
  return std::string("wait at ") + call + " (" +
         FileName(where.file.load(std::memory_order_relaxed)) + ":" +
         std::to_string(where.line.load(std::memory_order_relaxed)) + ")";
}

// "threads 0-31 wait at __syncthreads (a.cuh:3); threads 32-63 have left the kernel"
std::string DescribeAll(const Block& block) {
  std::string text;
  const int count = static_cast<int>(block.threads.size());
  for (int first = 0, next = 0; first < count; first = next) {
    const std::string state = Describe(block.threads[first]->whereabouts);
    next = first + 1;
    while (next < count && Describe(block.threads[next]->whereabouts) == state) ++next;
    text += text.empty() ? "" : "; ";
    text += next - first == 1 ? "thread " + std::to_string(first)
                              : "threads " + std::to_string(first) + "-" + std::to_string(next - 1);
    text += " " + state;
  }
  return text;
}

void Record(Block& block, const std::string& message) {
  const std::lock_guard lock(block.mutex);
  if (block.error.empty()) {
    block.error = "block (" + std::to_string(block.block_index.x) + ", " +
                  std::to_string(block.block_index.y) + ", " + std::to_string(block.block_index.z) +
                  "): " + message;
  }
}

void RunBlock(Block& block, uint32_t order, const std::function<void()>& kernel) {
  RunThreads(
      static_cast<int>(block.threads.size()), order,
      [&](int i) {
        ThreadState& thread = *block.threads[i];
        thread_context = &thread;
        kernel();
        for (const AsyncGroup& group : thread.committed_groups) {
          if (!group.empty()) Fail("thread " + std::to_string(i) + " left with cp.async under way");
        }
        if (!thread.open_group.empty()) {
          Fail("thread " + std::to_string(i) + " left with cp.async that it never committed");
        }
        thread.whereabouts.finished.store(true, std::memory_order_relaxed);
      },
      [&] { Record(block, "deadlock: " + DescribeAll(block)); });
  if (block.error.empty() && !block.shared.GuardsIntact()) {
    Record(block, "wrote outside of its " + std::to_string(block.dynamic_bytes) +
                      " bytes of shared memory");
  }
}

std::string CheckConfig(const LaunchConfig& config) {
  if (config.threads < kLanes || config.threads > kLargestBlock || config.threads % kLanes != 0) {
    return "a block of " + std::to_string(config.threads) + " threads is not one of whole warps";
  }
  if (config.grid.x == 0 || config.grid.y == 0 || config.grid.z == 0) return "the grid is empty";
  if (config.grid.y > 65535 || config.grid.z > 65535) return "the grid is too large";
  if (config.shared_bytes > kSharedLimit) {
    return std::to_string(config.shared_bytes) + " bytes of shared memory are more than there are";
  }
  return "";
}

}  // namespace

GuardedBytes::GuardedBytes(size_t bytes) : bytes_(bytes) {
  storage_.resize(bytes + 3 * kGuard, kPoison);
  const auto address = reinterpret_cast<uintptr_t>(storage_.data());
  data_ = storage_.data() + ((address + 2 * kGuard - 1) / kGuard * kGuard - address);
  if (__asan_poison_memory_region) {
    __asan_poison_memory_region(data_ - kGuard, kGuard);
    __asan_poison_memory_region(data_ + bytes_, kGuard);
  }
}

GuardedBytes::~GuardedBytes() {
  if (__asan_unpoison_memory_region) {
    __asan_unpoison_memory_region(data_ - kGuard, bytes_ + 2 * kGuard);
  }
}

bool GuardedBytes::Contains(const void* p, size_t bytes) const {
  const auto* at = static_cast<const unsigned char*>(p);
  return at >= data_ && at + bytes <= data_ + bytes_;
}

void GuardedBytes::Poison() { std::memset(data_, kPoison, bytes_); }

bool GuardedBytes::GuardsIntact() const {
  if (__asan_poison_memory_region) return true;  // the sanitizer has watched them
  const auto intact = [](unsigned char byte) { return byte == kPoison; };
  return std::all_of(data_ - kGuard, data_, intact) &&
         std::all_of(data_ + bytes_, data_ + bytes_ + kGuard, intact);
}

Block::Block(const LaunchConfig& config)
    : block_dim{static_cast<unsigned>(config.threads), 1, 1},
      grid_dim(config.grid),
      dynamic_bytes(config.shared_bytes),
      shared(config.shared_bytes + kStaticBytes) {
  for (int i = 0; i < config.threads / kLanes; ++i) warps.push_back(std::make_unique<Meeting>());
}

void Block::Reset(Dim3 index) {
  block_index = index;
  shared.Poison();
  threads.clear();
  for (unsigned i = 0; i < block_dim.x; ++i) {
    auto thread = std::make_unique<ThreadState>();
    thread->thread_index = {i, 0, 0};
    thread->lane = static_cast<int>(i) % kLanes;
    thread->block = this;
    thread->warp = warps[i / kLanes].get();
    threads.push_back(std::move(thread));
  }
}

LaunchReport Launch(const LaunchConfig& config, const std::function<void()>& kernel) {
  LaunchReport report;
  report.error = CheckConfig(config);
  if (!report.error.empty()) return report;
  Block block(config);
  const uint64_t blocks = uint64_t{config.grid.x} * config.grid.y * config.grid.z;
  std::vector<uint64_t> sequence(blocks);
  std::iota(sequence.begin(), sequence.end(), 0);
  if (config.order != 0) {
    std::shuffle(sequence.begin(), sequence.end(), std::minstd_rand(config.order));
  }
  for (const uint64_t i : sequence) {
    block.Reset({static_cast<unsigned>(i % config.grid.x),
                 static_cast<unsigned>(i / config.grid.x % config.grid.y),
                 static_cast<unsigned>(i / config.grid.x / config.grid.y)});
    RunBlock(block, config.order, kernel);
    for (const auto& thread : block.threads) {
      report.barriers += thread->thread_index.x == 0 ? thread->barriers : 0;
      report.matrix_products += thread->products;
      report.matrix_loads += thread->loads;
      report.bank_conflicts += thread->conflicts;
      report.asynchronous_copies += thread->copies;
    }
    report.error = block.error;
    if (!report.error.empty()) break;
  }
  return report;
}

void Fail(const std::string& message) {
  Record(*CurrentThread().block, message);
  throw Aborted();
}

std::string ToString(const Site& site) {
  return FileName(site.file_name()) + ":" + std::to_string(site.line());
}

void BlockBarrier(const Site& site) {
  ThreadState& self = CurrentThread();
  ++self.barriers;
  Meet(
      self.block->meeting, static_cast<int>(self.block->block_dim.x), "__syncthreads", site, [] {},
      [] {});
}

void MeetWarp(const char* call, const Site& site, void* mine,
              const std::function<void(void* const (&)[kLanes])>& apply) {
  ThreadState& self = CurrentThread();
  Meeting& warp = *self.warp;
  Meet(
      warp, kLanes, call, site, [&] { warp.lanes[self.lane] = mine; }, [&] { apply(warp.lanes); });
}

void* StaticShared(const void* identity, size_t bytes) {
  Block& block = *CurrentThread().block;
  size_t offset = 0;
  {
    const std::lock_guard lock(block.mutex);
    const auto [entry, added] = block.static_offsets.try_emplace(identity, block.static_used);
    offset = entry->second;
    if (added) block.static_used = (block.static_used + bytes + 127) / 128 * 128;
  }
  if (offset + bytes > kStaticBytes) Fail("more than 8 KiB of static shared memory");
  const size_t dynamic = (block.dynamic_bytes + 127) / 128 * 128;
  return block.shared.data() + dynamic + offset;
}

void CheckAligned(const char* call, const void* p, size_t alignment, const Site& site) {
  if (reinterpret_cast<uintptr_t>(p) % alignment != 0) {
    Fail(std::string(call) + " (" + ToString(site) + "): the address is not a multiple of " +
         std::to_string(alignment));
  }
}

void CheckShared(const char* call, const void* p, size_t bytes, const Site& site) {
  CheckAligned(call, p, bytes, site);
  if (!CurrentThread().block->shared.Contains(p, bytes)) {
    Fail(std::string(call) + " (" + ToString(site) + "): the address is not in shared memory");
  }
}

}  // namespace cliptag::emulation
