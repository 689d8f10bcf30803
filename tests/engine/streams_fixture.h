// One engine with the real starter model for all tests of a file, and a picture to ask about.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "plugin/engine/engine.h"
#include "tests/engine/engine_inbox.h"

namespace cliptag::test {

using namespace std::chrono_literals;
constexpr uint64_t kLong = 60'000'000'000;  // a deadline that never comes in a test
constexpr int kWidth = 160, kHeight = 90;

inline EngineOptions Small() {
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

using Inbox = ResultInbox;

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
    InboxOf<std::shared_ptr<const PromptBank>> banks;
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
  static inline std::shared_ptr<Engine>* engine_ = nullptr;
};
}  // namespace cliptag::test
