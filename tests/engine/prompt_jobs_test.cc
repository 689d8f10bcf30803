// Prompt jobs that take long: a stop, newer prompts and other streams do not wait for their end.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/engine/engine_inbox.h"

namespace cliptag {
namespace {

using test::PromptsInbox;
using test::ResultInbox;

constexpr int kSide = 64;

// Labels that nobody has encoded: some twenty seconds of work for the starter.
PromptSpec Many(const std::string& what) {
  PromptSpec spec;
  spec.templates = {"{}"};
  for (int i = 0; i < 30'000; ++i) {
    TagSpec tag;
    tag.label = what + " number " + std::to_string(i);
    spec.tags.push_back(std::move(tag));
  }
  return spec;
}

class PromptJobsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto engine = Engine::Create(
        {.backend = {.kind = BackendKind::kCpu, .precision = Precision::kFp32, .threads = 1},
         .max_batch = 2});
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    engine_ = engine.Take();
    stream_ = engine_->OpenStream();
    other_ = engine_->OpenStream();
  }

  void OneFrame(EngineStream& stream) {
    InferenceRequest request;
    request.frame = RgbView(pixels_.data(), kSide * 3, kSide, kSide, RgbOrder::kRgb);
    request.batch_timeout_ns = 0;
    request.done = results_.Slot();
    ASSERT_TRUE(stream.Submit(std::move(request)).ok());
    ASSERT_TRUE(results_.WaitFor(1));
    for (const InferenceResult& result : results_.Take())
      ASSERT_TRUE(result.status.ok()) << result.status.message();
  }

  // Prompts that are being encoded when this returns: batches and jobs take turns, so that at the
  // latest the second frame is answered between two chunks.
  void BeginMany() {
    stream_->SetPrompts(Many("thing"), first_.Slot());
    OneFrame(*other_);
    OneFrame(*other_);
    ASSERT_EQ(first_.size(), 0u) << "too few to be in the middle of them";
  }

  std::vector<uint8_t> pixels_ = std::vector<uint8_t>(size_t{kSide} * kSide * 3, 90);
  ResultInbox results_;
  PromptsInbox first_, second_;
  std::shared_ptr<Engine> engine_;
  std::unique_ptr<EngineStream> stream_, other_;
};

TEST_F(PromptJobsTest, ClosingTheStreamEndsItsJob) {
  BeginMany();
  stream_.reset();
  ASSERT_EQ(first_.size(), 1u);
  EXPECT_EQ(first_.Take()[0].code(), StatusCode::kCancelled);
  OneFrame(*other_);
}

TEST_F(PromptJobsTest, NewerPromptsEndTheOlderJob) {
  BeginMany();
  stream_->SetPrompts(ParsePrompts("zebra; lion").Take(), second_.Slot());
  ASSERT_TRUE(second_.WaitFor(1));
  EXPECT_TRUE(second_.Take()[0].ok());
  ASSERT_TRUE(first_.WaitFor(1));
  EXPECT_EQ(first_.Take()[0].code(), StatusCode::kCancelled);
}

TEST_F(PromptJobsTest, AFewLabelsOfAnotherStreamDoNotWait) {
  BeginMany();
  for (const char* labels : {"zebra; lion", "car; dog", "fire"}) {
    other_->SetPrompts(ParsePrompts(labels).Take(), second_.Slot());
    ASSERT_TRUE(second_.WaitFor(1));
    EXPECT_TRUE(second_.Take()[0].ok());
    EXPECT_EQ(first_.size(), 0u) << "the large job was not made to end";
  }
  stream_.reset();
  EXPECT_EQ(first_.Take()[0].code(), StatusCode::kCancelled);
}

// As many as the other has: each has its turn, and closing them ends both.
TEST_F(PromptJobsTest, TwoLargeJobsCanBeClosedInAnyOrder) {
  BeginMany();
  other_->SetPrompts(Many("creature"), second_.Slot());
  OneFrame(*other_);
  other_.reset();
  EXPECT_EQ(second_.Take()[0].code(), StatusCode::kCancelled);
  EXPECT_EQ(first_.size(), 0u);
  stream_.reset();
  EXPECT_EQ(first_.Take()[0].code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace cliptag
