// Many streams on one engine with the real starter model: each gets its share, and none is
// disturbed by another's trouble.
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>

#include "tests/engine/streams_fixture.h"

namespace cliptag::test {
namespace {

TEST_F(StreamsTest, ANewerFrameTakesThePlaceOfOneThatWaits) {
  auto stream = engine().OpenStream();
  Inbox inbox;
  for (uint64_t n = 0; n < 10; ++n) {
    InferenceRequest request = Request(inbox, n, kLong);
    request.replace = true;
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  }
  EXPECT_EQ(inbox.size(), 9u);
  stream->Hurry();
  ASSERT_TRUE(inbox.WaitFor(10));
  const auto results = inbox.Take();
  for (size_t n = 0; n < 9; ++n) {
    EXPECT_EQ(results[n].status.code(), StatusCode::kCancelled);
    EXPECT_EQ(results[n].frame_number, n);
  }
  EXPECT_TRUE(results[9].status.ok());
  EXPECT_EQ(results[9].frame_number, 9u);
  EXPECT_EQ(stream->stats().replaced, 9u);
}

TEST_F(StreamsTest, EveryStreamGetsItsShareHoweverMuchOneSubmits) {
  constexpr int kStreams = 7;
  std::vector<std::unique_ptr<EngineStream>> streams;
  std::mutex mutex;
  std::vector<int> order;
  std::condition_variable done;
  for (int i = 0; i < kStreams; ++i) streams.push_back(engine().OpenStream());
  const auto submit = [&](int stream, int count) {
    for (int n = 0; n < count; ++n) {
      InferenceRequest request = Request(n, kLong);
      request.done = [&, stream](InferenceResult) {
        const std::lock_guard lock(mutex);
        order.push_back(stream);
        done.notify_all();
      };
      ASSERT_TRUE(streams[stream]->Submit(std::move(request)).ok());
    }
  };
  submit(0, 3);  // fewer than a batch: nothing begins
  for (int i = 1; i < kStreams; ++i) submit(i, i == 3 ? 60 : 12);
  submit(0, 9);
  for (auto& stream : streams) stream->Hurry();
  std::unique_lock lock(mutex);
  ASSERT_TRUE(done.wait_for(lock, 60s, [&] { return order.size() == 6 * 12 + 60; }));
  // As long as all have some, none is ahead of another by more than two: one of a round that is
  // under way, and one that came before the others had any.
  std::map<int, int> count;
  for (size_t i = 0; i < 6 * 11; ++i) ++count[order[i]];
  for (const auto& [stream, n] : count) EXPECT_NEAR(n, 66.0 / kStreams, 2.5) << stream;
}

TEST_F(StreamsTest, AFrameThatCannotBeReadFailsAlone) {
  auto good = engine().OpenStream();
  auto bad = engine().OpenStream();
  Inbox good_inbox, bad_inbox;
  const auto alone = Ask(*good, Request(0)).embedding;
  for (uint64_t n = 0; n < 2; ++n) {
    ASSERT_TRUE(good->Submit(Request(good_inbox, n, kLong)).ok());
    InferenceRequest broken = Request(bad_inbox, n, kLong);
    broken.frame.component[1].data = nullptr;
    ASSERT_TRUE(bad->Submit(std::move(broken)).ok());
  }
  ASSERT_TRUE(good_inbox.WaitFor(2));
  ASSERT_TRUE(bad_inbox.WaitFor(2));
  for (const InferenceResult& result : bad_inbox.Take()) EXPECT_FALSE(result.status.ok());
  for (const InferenceResult& result : good_inbox.Take()) {
    ASSERT_TRUE(result.status.ok()) << result.status.message();
    double cosine = 0;
    for (size_t i = 0; i < alone.size(); ++i) cosine += alone[i] * result.embedding[i];
    EXPECT_GT(cosine, 0.9999);
  }
  EXPECT_TRUE(Eventually([&] { return bad->stats().failed == 2; }));
  EXPECT_EQ(good->stats().failed, 0u);
}

TEST_F(StreamsTest, TheSamePromptsAreOneBank) {
  auto a = engine().OpenStream(), b = engine().OpenStream(), c = engine().OpenStream();
  const auto of_a = Set(*a, "cat; dog");
  EXPECT_EQ(Set(*b, "cat; dog"), of_a);
  EXPECT_NE(Set(*c, "cat; dog; cow"), of_a);
  EXPECT_EQ(Set(*c, "cat; dog"), of_a);
}

TEST_F(StreamsTest, OneThatChangesItsPromptsAllTheTimeDoesNotKeepOthersFromTheirs) {
  auto restless = engine().OpenStream();
  auto patient = engine().OpenStream();
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int i = 0; !stop; ++i) {
      restless->SetPrompts(ParsePrompts("thing number " + std::to_string(i % 200)).Take(),
                           [](Status, std::shared_ptr<const PromptBank>) {});
      std::this_thread::sleep_for(1ms);
    }
  });
  Inbox inbox;
  for (int i = 0; i < 5; ++i) {
    Set(*patient, "dog " + std::to_string(i));
    ASSERT_TRUE(patient->Submit(Request(inbox, i)).ok());
  }
  EXPECT_TRUE(inbox.WaitFor(5));
  stop = true;
  changer.join();
}

TEST_F(StreamsTest, FlushesAndClosuresAtTheWorstMomentAnswerEverythingOnce) {
  auto steady = engine().OpenStream();
  Inbox steady_inbox;
  std::atomic<int> submitted{0}, answered{0};
  std::atomic<bool> stop{false};
  std::thread restless([&] {
    for (int round = 0; !stop; ++round) {
      auto stream = engine().OpenStream();
      for (uint64_t n = 0; n < 7; ++n) {
        InferenceRequest request = Request(n);
        request.tiles = n % 2 == 1;
        request.replace = round % 2 == 0;
        request.done = [&](InferenceResult) { ++answered; };
        ASSERT_TRUE(stream->Submit(std::move(request)).ok());
        ++submitted;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(round * 37 % 3000));
      if (round % 3) stream->Flush();
    }
  });
  for (uint64_t n = 0; n < 100; ++n) ASSERT_TRUE(steady->Submit(Request(steady_inbox, n)).ok());
  EXPECT_TRUE(steady_inbox.WaitFor(100));
  stop = true;
  restless.join();
  EXPECT_EQ(submitted, answered);
  const auto results = steady_inbox.Take();
  for (uint64_t n = 0; n < 100; ++n) {
    EXPECT_TRUE(results[n].status.ok());
    EXPECT_EQ(results[n].frame_number, n);
  }
}

}  // namespace
}  // namespace cliptag::test
