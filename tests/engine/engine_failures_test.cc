// What cannot be had: memory that runs out on the engine's threads, threads that the system
// refuses. Replaces operator new and pthread_create, so it is a process of its own.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <future>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "tests/engine/engine_inbox.h"
#include "tests/sanitized.h"

namespace {

// Counted down by what is asked for; at zero it is refused, and all that follow if `refuse_all`.
std::atomic<int64_t> memory_left{INT64_MAX}, threads_left{INT64_MAX};
std::atomic<bool> refuse_all{false};
std::atomic<size_t> least_bytes{0};  // smaller pieces are not counted
thread_local bool spared = false;    // the test's own thread

bool Refused(std::atomic<int64_t>& left) {
  const int64_t before = left.fetch_sub(1, std::memory_order_relaxed);
  return before == 1 || (before < 1 && refuse_all);
}

void* Allocate(size_t bytes, size_t alignment) noexcept {
  if (!spared && bytes >= least_bytes && Refused(memory_left)) return nullptr;
  return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}
void* AllocateOrThrow(size_t bytes, size_t alignment) {
  void* p = Allocate(bytes, alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

}  // namespace

void* operator new(size_t bytes) { return AllocateOrThrow(bytes, 16); }
void* operator new(size_t bytes, std::align_val_t a) {
  return AllocateOrThrow(bytes, static_cast<size_t>(a));
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return Allocate(bytes, 16); }
void* operator new(size_t bytes, std::align_val_t a, const std::nothrow_t&) noexcept {
  return Allocate(bytes, static_cast<size_t>(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which have one of their own
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*function)(void*), void* argument) noexcept {
  if (Refused(threads_left)) return EAGAIN;
  static const auto real =
      reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  return real(thread, attributes, function, argument);
}
#endif

namespace cliptag {
namespace {

using test::PromptsInbox;
using test::ResultInbox;

constexpr int kSide = 64;

EngineOptions Options() {
  return {.backend = {.kind = BackendKind::kCpu, .precision = Precision::kFp32, .threads = 2},
          .max_batch = 2};
}

// In a thread of its own, so that one that waits for ever is a failure and not the test's end.
Result<std::shared_ptr<Engine>> ShareInTime() {
  std::packaged_task<Result<std::shared_ptr<Engine>>()> task(
      [] { return Engine::Share(Options()); });
  auto shared = task.get_future();
  std::thread thread(std::move(task));
  if (shared.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
    ADD_FAILURE() << "the start hangs";
    std::_Exit(1);
  }
  thread.join();
  return shared.get();
}

class EngineFailures : public ::testing::Test {
 protected:
  void SetUp() override { spared = true; }
  void TearDown() override { Allow(); }
  static void Allow() {
    memory_left = threads_left = INT64_MAX;
    refuse_all = false;
    least_bytes = 0;
  }
};

TEST_F(EngineFailures, AThreadThatIsRefusedDoesNotBlockTheModel) {
  if (test::kSanitized) GTEST_SKIP() << "pthread_create is the sanitizer's";
  int failed = 0;
  for (int n = 2; n < 20; ++n) {  // the first is the test's
    threads_left = n;
    const auto refused = ShareInTime();
    const bool any_refused = threads_left <= 0;
    Allow();
    if (!refused.ok()) {
      ++failed;
      EXPECT_EQ(refused.status().code(), StatusCode::kResourceExhausted);
      EXPECT_NE(refused.status().message().find("thread"), std::string::npos)
          << refused.status().message();
    }
    const auto again = ShareInTime();
    ASSERT_TRUE(again.ok()) << again.status().message();
    if (!any_refused) break;
  }
  EXPECT_GE(failed, 1) << "the worker's at least";
}

TEST_F(EngineFailures, MemoryThatRunsOutDoesNotBlockTheModel) {
  int failed = 0;
  bool any_refused = true;
  for (int n = 1; any_refused; ++n) {
    // nlohmann-json's destructor asks for smaller pieces, and ends the process without them.
    least_bytes = size_t{1} << 20;
    memory_left = n;
    const auto refused = ShareInTime();
    any_refused = memory_left <= 0;
    Allow();
    EXPECT_EQ(refused.ok(), !any_refused) << n;
    failed += refused.ok() ? 0 : 1;
  }
  EXPECT_GE(failed, 1);
  const auto again = ShareInTime();
  EXPECT_TRUE(again.ok()) << again.status().message();
}

// Frames and prompts of two streams, while the n-th allocation on the engine's threads fails, or
// all from there on: everything is answered, and afterwards all is well.
class RunningFailures : public EngineFailures, public ::testing::WithParamInterface<bool> {
 protected:
  void Submit(EngineStream& stream, uint64_t number) {
    InferenceRequest request;
    request.frame = RgbView(pixels_.data(), kSide * 3, kSide, kSide, RgbOrder::kRgb);
    request.frame_number = number;
    request.at = number * 40'000'000;
    request.batch_timeout_ns = 0;
    request.tiles = number % 2 == 1;
    request.regions = request.tiles ? Regions::kFrame : Regions::kBoth;
    request.objects = {{{4, 4, 30, 30}, 1}};
    request.done = [this](InferenceResult result) {
      spared = true;  // collecting is the test's
      results_.Put(std::move(result));
      spared = false;
    };
    ASSERT_TRUE(stream.Submit(std::move(request)).ok());
  }

  void SetPrompts(EngineStream& stream, const std::string& labels) {
    stream.SetPrompts(ParsePrompts(labels).Take(), [this](Status status, const auto&) {
      const bool before = std::exchange(spared, true);
      prompts_.Put(std::move(status));
      spared = before;
    });
  }

  std::vector<uint8_t> pixels_ = std::vector<uint8_t>(size_t{kSide} * kSide * 3, 90);
  ResultInbox results_;
  PromptsInbox prompts_;
};

TEST_P(RunningFailures, EveryRequestIsAnswered) {
  // oneDNN 2.6 keeps a pointer to what it has freed when an allocation of its own fails.
  if (test::kSanitized) GTEST_SKIP() << "AddressSanitizer finds oneDNN's own fault";
  const auto engine = Engine::Create(Options()).Take();
  const auto a = engine->OpenStream(), b = engine->OpenStream();
  int failed = 0;
  uint64_t number = 0;
  for (int64_t n = 1; n < 4000; n = n * 4 / 3 + 1) {
    SCOPED_TRACE(n);
    memory_left = n;
    refuse_all = GetParam();
    SetPrompts(*a, "car " + std::to_string(n) + "; dog");
    SetPrompts(*b, "fire; tree " + std::to_string(n));
    for (int i = 0; i < 3; ++i) {
      Submit(*a, ++number);
      Submit(*b, number);
    }
    ASSERT_TRUE(results_.WaitFor(6));
    ASSERT_TRUE(prompts_.WaitFor(2));
    Allow();
    for (const InferenceResult& result : results_.Take()) failed += result.status.ok() ? 0 : 1;
    for (const Status& status : prompts_.Take()) failed += status.ok() ? 0 : 1;
  }
  EXPECT_GE(failed, 10);
  SetPrompts(*a, "car; dog");
  ASSERT_TRUE(prompts_.WaitFor(1));
  EXPECT_TRUE(prompts_.Take()[0].ok());
  Submit(*a, ++number);
  ASSERT_TRUE(results_.WaitFor(1));
  const auto last = results_.Take();
  EXPECT_TRUE(last[0].status.ok()) << last[0].status.message();
  EXPECT_FALSE(last[0].tags.empty());
}

INSTANTIATE_TEST_SUITE_P(Memory, RunningFailures, ::testing::Bool(), [](const auto& info) {
  return info.param ? "AllFromThereOn" : "OneAllocation";
});

// A callback that throws is its owner's mistake; the others go on.
TEST_F(EngineFailures, ACallbackThatThrowsEndsNothing) {
  const auto engine = Engine::Create(Options()).Take();
  const auto stream = engine->OpenStream();
  const std::vector<uint8_t> pixels(size_t{kSide} * kSide * 3, 90);
  ResultInbox results;
  for (int i = 0; i < 2; ++i) {
    InferenceRequest request;
    request.frame = RgbView(pixels.data(), kSide * 3, kSide, kSide, RgbOrder::kRgb);
    request.batch_timeout_ns = 0;
    request.done = [&, i](InferenceResult result) {
      if (i == 0) throw std::runtime_error("no");
      results.Put(std::move(result));
    };
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  }
  stream->SetPrompts(ParsePrompts("car").Take(), [](Status, const auto&) { throw 1; });
  ASSERT_TRUE(results.WaitFor(1));
  EXPECT_TRUE(results.Take()[0].status.ok());
}

}  // namespace
}  // namespace cliptag
