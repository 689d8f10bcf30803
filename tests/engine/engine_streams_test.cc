// Many streams on one engine with the real starter model: shares, tiles, objects, and that nobody's
// trouble is another's.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "plugin/engine/engine.h"
#include "plugin/engine/frame_parts.h"
#include "tests/engine/engine_inbox.h"

namespace cliptag {
namespace {

using namespace std::chrono_literals;
constexpr uint64_t kLong = 60'000'000'000;  // a deadline that never comes in a test
constexpr int kWidth = 160, kHeight = 90;

EngineOptions Small() {
  return {.backend = {.kind = BackendKind::kCpu, .precision = Precision::kFp32, .threads = 2},
          .max_batch = 4};
}

// The books are closed behind the callbacks.
template <typename F>
bool Eventually(F&& holds) {
  for (int i = 0; i < 2000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

using Inbox = test::ResultInbox;

class StreamsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto engine = Engine::Create(Small());
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    engine_ = new std::shared_ptr<Engine>(engine.Take());
  }
  static void TearDownTestSuite() { delete engine_; }
  static Engine& engine() { return **engine_; }

  InferenceRequest Request(uint64_t number, uint64_t batch_timeout_ns = 1'000'000) {
    InferenceRequest request;
    request.frame = RgbView(pixels_.data(), kWidth * 3, kWidth, kHeight, RgbOrder::kRgb);
    request.at = number * 40'000'000;
    request.frame_number = number;
    request.batch_timeout_ns = batch_timeout_ns;
    return request;
  }
  InferenceRequest Request(Inbox& inbox, uint64_t number, uint64_t batch_timeout_ns = 1'000'000) {
    InferenceRequest request = Request(number, batch_timeout_ns);
    request.done = inbox.Slot();
    return request;
  }
  static InferenceResult Ask(EngineStream& stream, InferenceRequest request) {
    Inbox inbox;
    request.done = inbox.Slot();
    EXPECT_TRUE(stream.Submit(std::move(request)).ok());
    EXPECT_TRUE(inbox.WaitFor(1));
    return inbox.Take().at(0);
  }

  static std::shared_ptr<const PromptBank> Set(EngineStream& stream, const std::string& labels) {
    test::InboxOf<std::shared_ptr<const PromptBank>> banks;
    stream.SetPrompts(ParsePrompts(labels).Take(),
                      [&](Status status, std::shared_ptr<const PromptBank> bank) {
                        EXPECT_TRUE(status.ok()) << status.message();
                        banks.Put(std::move(bank));
                      });
    EXPECT_TRUE(banks.WaitFor(1));
    return banks.Take().at(0);
  }

  // The left half is red, the right one has stripes.
  std::vector<uint8_t> pixels_ = [] {
    std::vector<uint8_t> pixels(size_t{kWidth} * kHeight * 3, 0);
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        uint8_t* p = pixels.data() + (size_t{kWidth} * y + x) * 3;
        if (x < kWidth / 2) {
          p[0] = 220;
        } else {
          p[0] = p[1] = p[2] = y / 8 % 2 ? 255 : 0;
        }
      }
    }
    return pixels;
  }();
  static std::shared_ptr<Engine>* engine_;
};
std::shared_ptr<Engine>* StreamsTest::engine_ = nullptr;

TEST(EngineShare, TheSameQuestionIsAnsweredByTheSameEngine) {
  auto first = Engine::Share(Small());
  ASSERT_TRUE(first.ok()) << first.status().message();
  auto second = Engine::Share(Small());
  ASSERT_TRUE(second.ok());
  const std::shared_ptr<Engine> a = first.Take(), b = second.Take();
  EXPECT_EQ(a, b);
  EngineOptions other = Small();
  other.backend.threads = 1;
  other.max_batch = 1;
  EXPECT_EQ(Engine::Share(other).Take(), a) << "threads and batch are those of the first";
  other.backend.precision = Precision::kInt8;
  const std::shared_ptr<Engine> c = Engine::Share(other).Take();
  EXPECT_NE(c, a);
  EXPECT_EQ(Engine::Share(other).Take(), c);
}

TEST(EngineShare, WhatCameOfAutoServesWhoeverNamesIt) {
  EngineOptions options = Small();
  options.backend.precision = Precision::kAuto;
  const std::shared_ptr<Engine> a = Engine::Share(options).Take();
  options.backend.precision = a->backend().precision;
  EXPECT_EQ(Engine::Share(options).Take(), a);
}

TEST(EngineShare, ManyAtOnceLoadItOnce) {
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::vector<std::shared_ptr<Engine>> engines;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      auto engine = Engine::Share(Small());
      ASSERT_TRUE(engine.ok());
      const std::lock_guard lock(mutex);
      engines.push_back(engine.Take());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& engine : engines) EXPECT_EQ(engine, engines[0]);
  EXPECT_EQ(engines[0].use_count(), 8);
}

TEST(EngineShare, ItGoesWithTheLastWhoHoldsItAndAFailureIsEverybodys) {
  std::weak_ptr<Engine> gone;
  {
    const std::shared_ptr<Engine> engine = Engine::Share(Small()).Take();
    gone = engine;
  }
  EXPECT_TRUE(gone.expired());
  EngineOptions wrong = Small();
  wrong.model = "no-such-model";
  EXPECT_FALSE(Engine::Share(wrong).ok());
  EXPECT_FALSE(Engine::Share(wrong).ok());
  wrong = Small();
  wrong.backend.precision = Precision::kFp16;  // not on the CPU
  EXPECT_FALSE(Engine::Share(wrong).ok());
  EXPECT_TRUE(Engine::Share(Small()).ok());
}

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

TEST_F(StreamsTest, TilesReportTheBestOneAndItsPlace) {
  auto stream = engine().OpenStream();
  Set(*stream, "red; stripes; dog");
  stream->SetPolicy({.scoring = Scoring::kCosine, .top_k = 0});
  InferenceRequest request = Request(3);
  request.tiles = true;
  request.tile_rows = 1;
  const InferenceResult result = Ask(*stream, std::move(request));
  ASSERT_TRUE(result.status.ok()) << result.status.message();
  EXPECT_TRUE(result.embedding.empty());
  ASSERT_EQ(result.tags.size(), 3u);

  // The same by hand, a crop at a time.
  const std::vector<Rect> tiles = TilesOf({0, 0, kWidth, kHeight}, 1);
  ASSERT_GT(tiles.size(), 1u);
  std::map<std::string, double> best;
  std::map<std::string, Rect> place;
  for (const Rect& tile : tiles) {
    InferenceRequest one = Request(4);
    one.frame.crop = tile;
    const InferenceResult answer = Ask(*stream, std::move(one));
    for (const Tag& tag : answer.tags) {
      EXPECT_EQ(tag.region.width, 0);
      if (best.contains(tag.label) && best[tag.label] >= tag.score) continue;
      best[tag.label] = tag.score;
      place[tag.label] = tile;
    }
  }
  for (const Tag& tag : result.tags) {
    EXPECT_NEAR(tag.score, best[tag.label], 1e-5) << tag.label;
    EXPECT_NEAR(tag.cosine, 2 * best[tag.label] - 1, 1e-5);
    EXPECT_EQ(tag.region, place[tag.label]) << tag.label;
  }
  EXPECT_TRUE(Eventually([&] { return stream->stats().pictures == 2 * tiles.size(); }));
}

TEST_F(StreamsTest, TilesAndObjectsOfOneFrame) {
  auto stream = engine().OpenStream();
  Set(*stream, "red; stripes");
  stream->SetPolicy({.scoring = Scoring::kCosine, .top_k = 0});
  const std::vector<Rect> tiles = TilesOf({0, 0, kWidth, kHeight}, 1);
  Inbox inbox;
  // Of the second frame nothing is encoded: it is still, and its object has not moved.
  for (uint64_t n = 0; n < 2; ++n) {
    InferenceRequest request = Request(inbox, n);
    request.tiles = true;
    request.tile_rows = 1;
    request.regions = Regions::kBoth;
    request.still = n == 1;
    request.objects = {{{100, 5, 40, 60}, 2}};
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  }
  ASSERT_TRUE(inbox.WaitFor(2));
  for (const InferenceResult& result : inbox.Take()) {
    ASSERT_TRUE(result.status.ok()) << result.status.message();
    ASSERT_EQ(result.tags.size(), 4u);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_FALSE(result.tags[i].of_object);
      EXPECT_NE(std::find(tiles.begin(), tiles.end(), result.tags[i].region), tiles.end());
      EXPECT_TRUE(result.tags[2 + i].of_object);
      EXPECT_EQ(result.tags[2 + i].region, (Rect{100, 5, 40, 60}));
    }
  }
  EXPECT_TRUE(Eventually([&] { return stream->stats().pictures == tiles.size() + 1; }));
}

TEST_F(StreamsTest, MoreTilesThanABatchHolds) {
  auto stream = engine().OpenStream();
  Set(*stream, "red; stripes");
  Inbox inbox;
  for (uint64_t n = 0; n < 5; ++n) {
    InferenceRequest request = Request(inbox, n);
    if (n % 2 == 0) {
      request.tiles = true;
      request.tile_rows = 3;
    }
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  }
  ASSERT_TRUE(inbox.WaitFor(5));
  const auto results = inbox.Take();
  for (size_t n = 0; n < 5; ++n) {
    EXPECT_EQ(results[n].frame_number, n);
    EXPECT_TRUE(results[n].status.ok());
    EXPECT_EQ(results[n].tags.size(), 2u);
  }
}

TEST_F(StreamsTest, ObjectsHaveTagsOfTheirOwnAndAreEncodedOnce) {
  auto stream = engine().OpenStream();
  Set(*stream, "red; stripes");
  stream->SetPolicy({.scoring = Scoring::kCosine, .top_k = 0});
  Inbox inbox;
  for (uint64_t n = 0; n < 6; ++n) {
    InferenceRequest request = Request(inbox, n);
    request.regions = Regions::kBoth;
    request.objects = {{{5, 5, 40, 40}, 1}, {{100, 5, 40, 60}, 2}};
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  }
  ASSERT_TRUE(inbox.WaitFor(6));
  const auto results = inbox.Take();
  for (const InferenceResult& result : results) {
    ASSERT_TRUE(result.status.ok()) << result.status.message();
    ASSERT_EQ(result.tags.size(), 6u);
    EXPECT_FALSE(result.embedding.empty()) << "the frame's";
    for (size_t i = 2; i < 6; ++i) {
      EXPECT_TRUE(result.tags[i].of_object);
      EXPECT_EQ(result.tags[i].id, i < 4 ? 1 : 2);
      EXPECT_EQ(result.tags[i].region, i < 4 ? (Rect{5, 5, 40, 40}) : (Rect{100, 5, 40, 60}));
    }
    // From the first frame's embedding, by the same prompts.
    for (size_t i = 2; i < 6; ++i) {
      const auto same =
          std::find_if(results[0].tags.begin() + 2, results[0].tags.end(), [&](const Tag& tag) {
            return tag.id == result.tags[i].id && tag.label == result.tags[i].label;
          });
      ASSERT_NE(same, results[0].tags.end());
      EXPECT_NEAR(same->cosine, result.tags[i].cosine, 1e-5);
    }
  }
  EXPECT_TRUE(Eventually([&] { return stream->stats().pictures == 6 + 2; }));
  EXPECT_TRUE(Eventually([&] { return stream->stats().objects_reused == 10; }));

  // An object's tags are those of the square around it.
  InferenceRequest square = Request(9);
  square.frame.crop = {90, 5, 60, 60};
  const InferenceResult answer = Ask(*stream, std::move(square));
  for (const Tag& tag : answer.tags) {
    for (size_t i = 4; i < 6; ++i) {
      if (results[0].tags[i].label != tag.label) continue;
      EXPECT_NEAR(results[0].tags[i].cosine, tag.cosine, 1e-4);
    }
  }
}

// A frame that shows what the one before it did is not encoded, but time goes on.
TEST_F(StreamsTest, OnAStillPictureTimeGoesOnAndNewPromptsApply) {
  auto stream = engine().OpenStream();
  Set(*stream, "red");
  stream->SetPolicy({.scoring = Scoring::kCosine, .threshold = 0, .min_duration_ns = 100'000'000});
  const auto infer = [&](uint64_t n, bool still, Fit fit = Fit::kModel) {
    InferenceRequest request = Request(n);
    request.still = still;
    request.fit = fit;
    return Ask(*stream, std::move(request));
  };
  const InferenceResult first = infer(0, true);
  EXPECT_FALSE(first.still) << "there is nothing that could stand";
  EXPECT_FALSE(first.tags[0].active);
  for (uint64_t n = 1; n < 6; ++n) {
    const InferenceResult result = infer(n, true);
    EXPECT_TRUE(result.still);
    ASSERT_EQ(result.tags.size(), 1u);
    EXPECT_NEAR(result.tags[0].cosine, first.tags[0].cosine, 1e-6);
    EXPECT_EQ(result.tags[0].active, n >= 3) << n;
    EXPECT_EQ(result.events.size(), n == 3 ? 1u : 0u) << n;
    EXPECT_EQ(result.embedding, first.embedding);
  }
  Set(*stream, "stripes; red");
  const InferenceResult other = infer(6, true);
  EXPECT_TRUE(other.still);
  EXPECT_EQ(other.tags.size(), 2u);
  EXPECT_TRUE(Eventually([&] { return stream->stats().inferred == 1; }));
  EXPECT_EQ(stream->stats().pictures, 1u);
  EXPECT_EQ(stream->stats().submitted, 1u);
  EXPECT_FALSE(infer(7, true, Fit::kSquash).still) << "that part of it was never seen";
  EXPECT_TRUE(Eventually([&] { return stream->stats().pictures == 2; }));
  stream->Flush();
  EXPECT_FALSE(infer(8, true, Fit::kSquash).still);
}

TEST_F(StreamsTest, OnAStillPictureObjectsThatAreNewOrMovedAreLookedAt) {
  auto stream = engine().OpenStream();
  Set(*stream, "red");
  const auto infer = [&](uint64_t n, std::vector<ObjectRegion> objects) {
    InferenceRequest request = Request(n);
    request.regions = Regions::kBoth;
    request.objects = std::move(objects);
    request.still = n > 0;
    return Ask(*stream, std::move(request));
  };
  const auto pictures = [&](uint64_t n) {
    return Eventually([&] { return stream->stats().pictures == n; });
  };
  const ObjectRegion one{{5, 5, 40, 40}, 1}, two{{100, 5, 40, 60}, 2}, moved{{60, 5, 40, 60}, 2};
  EXPECT_EQ(infer(0, {one}).tags.size(), 2u);
  EXPECT_TRUE(infer(1, {one}).still);
  EXPECT_TRUE(infer(80, {one}).still) << "on a still picture no embedding ages";
  EXPECT_TRUE(pictures(2));
  const InferenceResult with_two = infer(81, {one, two});
  EXPECT_FALSE(with_two.still);
  EXPECT_EQ(with_two.tags.size(), 3u);
  EXPECT_TRUE(pictures(3));
  EXPECT_TRUE(infer(82, {two, one}).still);
  EXPECT_FALSE(infer(83, {one, moved}).still);
  EXPECT_TRUE(pictures(4));
  const InferenceResult gone = infer(84, {one});
  EXPECT_FALSE(gone.still) << "there is something to tell";
  EXPECT_EQ(gone.tags.size(), 2u);
  EXPECT_TRUE(infer(85, {one}).still);
  EXPECT_TRUE(pictures(4));
}

TEST_F(StreamsTest, AStillFrameNeverTakesThePlaceOfOneToBeLookedAt) {
  auto stream = engine().OpenStream();
  Set(*stream, "red");
  Inbox inbox;
  const auto submit = [&](uint64_t n, bool still) {
    InferenceRequest request = Request(inbox, n, 60'000'000'000);
    request.replace = true;
    request.still = still;
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  };
  submit(0, false);
  submit(1, true);
  ASSERT_TRUE(inbox.WaitFor(1));
  const auto cancelled = inbox.Take();
  EXPECT_EQ(cancelled[0].frame_number, 1u);
  EXPECT_EQ(cancelled[0].status.code(), StatusCode::kCancelled);
  submit(2, false);
  stream->Hurry();
  ASSERT_TRUE(inbox.WaitFor(2));
  auto results = inbox.Take();
  EXPECT_EQ(results[0].frame_number, 0u);
  EXPECT_EQ(results[1].frame_number, 2u);
  EXPECT_TRUE(results[1].status.ok());
}

TEST_F(StreamsTest, NewPromptsAreAppliedToObjectsThatAreNotEncodedAgain) {
  auto stream = engine().OpenStream();
  Set(*stream, "red");
  const auto infer = [&](uint64_t n) {
    InferenceRequest request = Request(n);
    request.regions = Regions::kObjects;
    request.objects = {{{5, 5, 40, 40}, 1}};
    return Ask(*stream, std::move(request));
  };
  EXPECT_EQ(infer(0).tags.size(), 1u);
  Set(*stream, "stripes; dog");
  const InferenceResult result = infer(1);
  ASSERT_EQ(result.tags.size(), 2u);
  EXPECT_NE(result.tags[0].label, "red");
  EXPECT_TRUE(result.embedding.empty());
  EXPECT_TRUE(Eventually([&] { return stream->stats().objects_reused == 1; }));
  EXPECT_EQ(stream->stats().pictures, 1u);
}

TEST_F(StreamsTest, AFrameWithoutObjectsIsAnsweredInItsTurn) {
  auto stream = engine().OpenStream();
  Set(*stream, "red");
  Inbox inbox;
  for (uint64_t n = 0; n < 40; ++n) {
    InferenceRequest request = Request(inbox, n);
    request.regions = n % 3 == 0 ? Regions::kFrame : Regions::kObjects;
    if (n % 3 == 1)
      request.objects = {{{5, 5, 40, 40}, static_cast<int64_t>(n)}, {{50, 5, 40, 40}, 500}};
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  }
  ASSERT_TRUE(inbox.WaitFor(40));
  const auto results = inbox.Take();
  for (uint64_t n = 0; n < 40; ++n) {
    EXPECT_EQ(results[n].frame_number, n);
    EXPECT_TRUE(results[n].status.ok());
    EXPECT_EQ(results[n].tags.empty(), n % 3 == 2);
  }
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
}  // namespace cliptag
