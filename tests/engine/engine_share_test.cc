// Engine::Share: who gets the same engine.
#include <mutex>

#include "tests/engine/streams_fixture.h"

namespace cliptag::test {
namespace {

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

}  // namespace
}  // namespace cliptag::test
