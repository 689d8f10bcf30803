// The engine with the real starter model on the CPU: batching, order, deadlines, flushes, prompts.
#include "plugin/engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace cliptag {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr uint64_t kLong = 60'000'000'000;  // a deadline that never comes in a test

// Collects callbacks.
class Inbox {
 public:
  std::function<void(InferenceResult)> Slot() {
    return [this](InferenceResult result) {
      std::lock_guard lock(mutex_);
      results_.push_back(std::move(result));
      arrived_.notify_all();
    };
  }
  bool WaitFor(size_t n, std::chrono::milliseconds limit = 20s) {
    std::unique_lock lock(mutex_);
    return arrived_.wait_for(lock, limit, [&] { return results_.size() >= n; });
  }
  std::vector<InferenceResult> Take() {
    std::lock_guard lock(mutex_);
    return std::move(results_);
  }
  size_t size() {
    std::lock_guard lock(mutex_);
    return results_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<InferenceResult> results_;
};

// One engine for the whole suite: loading is what costs.
class EngineTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto engine =
        Engine::Create({.backend = {.precision = Precision::kFp32, .threads = 2}, .max_batch = 4});
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    engine_ = new std::shared_ptr<Engine>(engine.Take());
  }
  static void TearDownTestSuite() { delete engine_; }

  static Engine& engine() { return **engine_; }

  InferenceRequest Request(uint64_t number, uint64_t batch_timeout_ns = 1'000'000) {
    InferenceRequest request;
    request.frame = RgbView(red_.data(), 64 * 3, 64, 64, RgbOrder::kRgb);
    request.at = number * 40'000'000;
    request.frame_number = number;
    request.batch_timeout_ns = batch_timeout_ns;
    request.done = inbox_.Slot();
    return request;
  }

  // Sets prompts and waits for them.
  static Status Set(EngineStream& stream, const std::string& labels) {
    auto spec = ParsePrompts(labels);
    if (!spec.ok()) return spec.status();
    return Set(stream, spec.Take());
  }
  static Status Set(EngineStream& stream, PromptSpec spec,
                    std::shared_ptr<const PromptBank>* bank = nullptr) {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<Status> status;
    stream.SetPrompts(std::move(spec), [&](Status s, std::shared_ptr<const PromptBank> b) {
      std::lock_guard lock(mutex);
      if (bank) *bank = b;
      status = s;
      done.notify_all();
    });
    std::unique_lock lock(mutex);
    if (!done.wait_for(lock, 20s, [&] { return status.has_value(); })) return Internal("no answer");
    return *status;
  }

  static std::shared_ptr<Engine>* engine_;
  std::vector<uint8_t> red_ = [] {
    std::vector<uint8_t> pixels(64 * 64 * 3, 0);
    for (size_t i = 0; i < pixels.size(); i += 3) pixels[i] = static_cast<uint8_t>(100 + i % 120);
    return pixels;
  }();
  Inbox inbox_;
};
std::shared_ptr<Engine>* EngineTest::engine_ = nullptr;

TEST(EngineCreate, UnknownModelIsNamed) {
  auto engine = Engine::Create({.model = "no-such-model"});
  ASSERT_FALSE(engine.ok());
  EXPECT_NE(engine.status().message().find("no-such-model"), std::string::npos)
      << engine.status().message();
}

TEST_F(EngineTest, WithoutPromptsThereIsAnEmbeddingAndNoTag) {
  auto stream = engine().OpenStream();
  ASSERT_TRUE(stream->Submit(Request(7)).ok());
  ASSERT_TRUE(inbox_.WaitFor(1));
  const auto results = inbox_.Take();
  ASSERT_TRUE(results[0].status.ok()) << results[0].status.message();
  EXPECT_TRUE(results[0].tags.empty());
  EXPECT_EQ(results[0].frame_number, 7u);
  EXPECT_EQ(results[0].at.pts_ns, 280'000'000u);
  ASSERT_EQ(results[0].embedding.size(), static_cast<size_t>(engine().model().embed_dim));
  double norm = 0;
  for (float x : results[0].embedding) norm += static_cast<double>(x) * x;
  EXPECT_NEAR(norm, 1.0, 1e-4);
}

TEST_F(EngineTest, TagsComeInOrderAndSoftmaxSumsToOne) {
  auto stream = engine().OpenStream();
  ASSERT_TRUE(Set(*stream, "car; dog; fire").ok());
  stream->SetPolicy({.scoring = Scoring::kSoftmax, .top_k = 0});
  for (uint64_t i = 0; i < 25; ++i) ASSERT_TRUE(stream->Submit(Request(i)).ok());
  ASSERT_TRUE(inbox_.WaitFor(25));
  const auto results = inbox_.Take();
  for (uint64_t i = 0; i < 25; ++i) {
    ASSERT_TRUE(results[i].status.ok()) << results[i].status.message();
    EXPECT_EQ(results[i].frame_number, i);
    ASSERT_EQ(results[i].tags.size(), 3u);
    double sum = 0;
    for (const Tag& tag : results[i].tags) sum += tag.score;
    EXPECT_NEAR(sum, 1.0, 1e-6);
    EXPECT_GE(results[i].tags[0].score, results[i].tags[1].score);
  }
}

TEST_F(EngineTest, ALoneRequestWaitsForItsDeadlineAndNoLonger) {
  auto stream = engine().OpenStream();
  const auto begin = Clock::now();
  ASSERT_TRUE(stream->Submit(Request(0, 80'000'000)).ok());
  ASSERT_TRUE(inbox_.WaitFor(1));
  const auto took = Clock::now() - begin;
  EXPECT_GE(took, 80ms);
  EXPECT_LT(took, 10s);
}

TEST_F(EngineTest, AFullBatchDoesNotWait) {
  auto stream = engine().OpenStream();
  for (int i = 0; i < engine().max_batch(); ++i)
    ASSERT_TRUE(stream->Submit(Request(i, kLong)).ok());
  EXPECT_TRUE(inbox_.WaitFor(engine().max_batch()));
  // stats are booked after the callbacks
  for (int i = 0; i < 200 && stream->stats().inferred < 4; ++i) std::this_thread::sleep_for(5ms);
  const StreamStats stats = stream->stats();
  EXPECT_EQ(stats.submitted, 4u);
  EXPECT_EQ(stats.inferred, 4u);
  EXPECT_EQ(stats.batches, 1u);
  EXPECT_DOUBLE_EQ(stats.mean_batch, 4.0);
  EXPECT_GT(stats.latency_p50_ns, 0u);
  EXPECT_GE(stats.latency_p99_ns, stats.latency_p50_ns);
}

TEST_F(EngineTest, HurryRunsWhatIsQueued) {
  auto stream = engine().OpenStream();
  ASSERT_TRUE(stream->Submit(Request(0, kLong)).ok());
  stream->Hurry();
  EXPECT_TRUE(inbox_.WaitFor(1));
}

TEST_F(EngineTest, FlushCancelsWhatIsQueuedOnceAndNothingComesAfter) {
  auto stream = engine().OpenStream();
  for (uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(stream->Submit(Request(i, kLong)).ok());
  stream->Flush();
  ASSERT_EQ(inbox_.size(), 3u);  // without waiting
  for (const InferenceResult& result : inbox_.Take())
    EXPECT_EQ(result.status.code(), StatusCode::kCancelled);
  ASSERT_TRUE(stream->Submit(Request(9)).ok());
  ASSERT_TRUE(inbox_.WaitFor(1));
  EXPECT_EQ(inbox_.Take()[0].frame_number, 9u);
}

TEST_F(EngineTest, ClosingAStreamAnswersWhatIsQueued) {
  auto stream = engine().OpenStream();
  for (uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(stream->Submit(Request(i, kLong)).ok());
  stream.reset();
  EXPECT_EQ(inbox_.size(), 3u);
}

TEST_F(EngineTest, StreamsWithDifferentPromptsAndFitsShareTheEngine) {
  auto first = engine().OpenStream();
  auto second = engine().OpenStream();
  ASSERT_TRUE(Set(*first, "car").ok());
  ASSERT_TRUE(Set(*second, "dog; cat").ok());
  Inbox other;
  for (uint64_t i = 0; i < 6; ++i) {
    ASSERT_TRUE(first->Submit(Request(i)).ok());
    auto request = Request(i);
    request.done = other.Slot();
    if (i % 2) request.fit = Fit::kLetterbox;
    ASSERT_TRUE(second->Submit(std::move(request)).ok());
  }
  ASSERT_TRUE(inbox_.WaitFor(6));
  ASSERT_TRUE(other.WaitFor(6));
  for (const auto& result : inbox_.Take()) {
    ASSERT_EQ(result.tags.size(), 1u);
    EXPECT_EQ(result.tags[0].label, "car");
  }
  uint64_t expected = 0;
  for (const auto& result : other.Take()) {
    EXPECT_EQ(result.frame_number, expected++);
    EXPECT_EQ(result.tags.size(), 2u);
  }
}

TEST_F(EngineTest, BadPromptsLeaveTheOldOnes) {
  auto stream = engine().OpenStream();
  ASSERT_TRUE(Set(*stream, "car").ok());
  PromptSpec bad;
  bad.tags = {{.label = "dog"}};
  bad.templates = {"no place for the label"};
  const Status status = Set(*stream, bad);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("no place for the label"), std::string::npos) << status.message();
  ASSERT_TRUE(stream->Submit(Request(0)).ok());
  ASSERT_TRUE(inbox_.WaitFor(1));
  EXPECT_EQ(inbox_.Take()[0].tags.at(0).label, "car");
}

TEST_F(EngineTest, TheSameTextFromTheCacheIsTheSameRow) {
  auto stream = engine().OpenStream();
  std::shared_ptr<const PromptBank> first, second;
  auto spec = ParsePrompts("umbrella; key");
  ASSERT_TRUE(spec.ok());
  ASSERT_TRUE(Set(*stream, *spec, &first).ok());
  auto swapped = ParsePrompts("key; umbrella");
  ASSERT_TRUE(Set(*stream, *swapped, &second).ok());
  for (int i = 0; i < first->dim; ++i) {
    ASSERT_EQ(first->row(0)[i], second->row(1)[i]);
    ASSERT_EQ(first->row(1)[i], second->row(0)[i]);
  }
}

TEST_F(EngineTest, EveryPromptJobIsAnsweredOnceAndTheLastOneWins) {
  auto stream = engine().OpenStream();
  std::atomic<int> ok{0}, cancelled{0}, other{0};
  for (int i = 0; i < 50; ++i) {
    auto spec = ParsePrompts("label " + std::to_string(i));
    ASSERT_TRUE(spec.ok());
    stream->SetPrompts(spec.Take(), [&](Status s, std::shared_ptr<const PromptBank>) {
      ++(s.ok() ? ok : s.code() == StatusCode::kCancelled ? cancelled : other);
    });
  }
  for (int i = 0; i < 1000 && ok + cancelled + other < 50; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(ok + cancelled, 50);
  EXPECT_EQ(other, 0);
  EXPECT_GE(ok, 1);
  ASSERT_TRUE(stream->Submit(Request(0)).ok());
  ASSERT_TRUE(inbox_.WaitFor(1));
  EXPECT_EQ(inbox_.Take()[0].tags.at(0).label, "label 49");
}

TEST_F(EngineTest, StreamsComeAndGoWhileOthersWork) {
  std::atomic<uint64_t> accepted{0}, answered{0};
  auto work = [&](int seed) {
    for (int round = 0; round < 6; ++round) {
      auto stream = engine().OpenStream();
      auto spec = ParsePrompts("thing " + std::to_string(seed));
      stream->SetPrompts(spec.Take(), [](Status, std::shared_ptr<const PromptBank>) {});
      for (uint64_t i = 0; i < 12; ++i) {
        auto request = Request(i);
        request.done = [&](InferenceResult) { ++answered; };
        if (stream->Submit(std::move(request)).ok()) ++accepted;
        if (i == 5 && round % 2) stream->Flush();
        if (i == 7) stream->SetPolicy({.threshold = 0.1 * seed});
        (void)stream->stats();
      }
      if (round % 3) stream->Hurry();
      // Some streams close with work queued, some after a result.
      for (int i = 0; round % 2 == 0 && i < 500 && stream->stats().inferred == 0; ++i)
        std::this_thread::sleep_for(2ms);
    }
  };
  std::vector<std::thread> threads;
  for (int seed = 0; seed < 4; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(accepted, 4u * 6 * 12);
  EXPECT_EQ(answered, accepted);
}

}  // namespace
}  // namespace cliptag
