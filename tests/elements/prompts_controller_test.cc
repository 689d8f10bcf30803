// The controller of prompts without an element: what is done at once, what later, what never.
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "plugin/elements/cliptag/prompts/controller.h"
#include "tests/elements/gst_test.h"
#include "tests/elements/temporary_folder.h"

namespace cliptag::test {
namespace {

using State = PromptsController::State;

// Later calls wait until the test runs them.
class FakeHost : public PromptsController::Host {
 public:
  void Encode(PromptSpec spec) override { encoded.push_back(std::move(spec)); }
  void CallLater(std::function<void()> call) override { calls.push_back(std::move(call)); }
  void PromptsFailed(const Status& status) override { failed.push_back(status.message()); }
  void PromptsRefused(const Status& status) override { refused.push_back(status.message()); }
  void PromptsTaken(const PromptBank&, bool others) override { taken.push_back(others); }
  void PromptsStateChanged() override { ++state_changes; }

  void RunCalls() {
    while (!calls.empty()) {
      const auto call = std::move(calls.front());
      calls.pop_front();
      call();
    }
  }

  std::vector<PromptSpec> encoded;
  std::deque<std::function<void()>> calls;
  std::vector<std::string> failed, refused;
  std::vector<bool> taken;
  int state_changes = 0;
};

class PromptsControllerTest : public ::testing::Test {
 protected:
  void SetUp() override { Set(&PromptSource::prompts, "cat; dog"); }

  void Set(std::string PromptSource::*member, const std::string& value) {
    controller_.Change([&](PromptSource& settings) { settings.*member = value; });
  }
  void Start() {
    auto first = controller_.Read();
    ASSERT_TRUE(first.ok()) << first.status().message();
    controller_.Start(first.Take());
    ASSERT_EQ(host_.encoded.size(), 1u);
  }
  // A prompts file that names a picture, whose content is a text.
  std::string FileWithABadPicture() {
    folder_.Write("bad.png", "This is a text.");
    folder_.Write("prompts.json", R"({"tags": [{"label": "fork lift", "images": "bad.png"}]})");
    return folder_ / "prompts.json";
  }
  size_t Tags(size_t i) const { return host_.encoded.at(i).tags.size(); }

  TemporaryFolder folder_;
  FakeHost host_;
  PromptsController controller_{&host_};
};

TEST_F(PromptsControllerTest, BeforeAStartAnythingMayBeSet) {
  Set(&PromptSource::prompts, "cat;;dog");
  EXPECT_TRUE(host_.refused.empty());
  EXPECT_FALSE(controller_.Read().ok());
  Set(&PromptSource::prompts_file, FileWithABadPicture());
  EXPECT_NE(controller_.Read().status().message().find("'fork lift'"), std::string::npos);
  EXPECT_TRUE(host_.encoded.empty());
}

TEST_F(PromptsControllerTest, WhatIsWrongIsRefusedAtOnceAndNothingChanges) {
  Start();
  Set(&PromptSource::prompts, "cat;;dog");
  EXPECT_EQ(host_.refused.size(), 1u);
  EXPECT_EQ(controller_.settings().prompts, "cat; dog");
  Set(&PromptSource::prompts, "bird");
  EXPECT_EQ(host_.encoded.size(), 2u);
  EXPECT_EQ(Tags(1), 1u);
  EXPECT_TRUE(host_.calls.empty());
}

TEST_F(PromptsControllerTest, PicturesAreDecodedLater) {
  Start();
  Set(&PromptSource::prompts_file, FileWithABadPicture());
  EXPECT_TRUE(host_.refused.empty()) << "set without having looked at the picture";
  ASSERT_EQ(host_.calls.size(), 1u);
  host_.RunCalls();
  ASSERT_EQ(host_.refused.size(), 1u);
  EXPECT_NE(host_.refused[0].find("'fork lift'"), std::string::npos) << host_.refused[0];
  EXPECT_EQ(host_.encoded.size(), 1u);
}

TEST_F(PromptsControllerTest, NewerPromptsEndADecoding) {
  Start();
  Set(&PromptSource::prompts_file, FileWithABadPicture());
  Set(&PromptSource::prompts_file, "");
  EXPECT_EQ(host_.encoded.size(), 2u);
  host_.RunCalls();
  EXPECT_TRUE(host_.refused.empty());
  EXPECT_EQ(host_.encoded.size(), 2u);
  Set(&PromptSource::prompts_file, FileWithABadPicture());
  controller_.Stop();
  host_.RunCalls();
  EXPECT_TRUE(host_.refused.empty());
}

TEST_F(PromptsControllerTest, AChangeDuringTheStartIsNotLost) {
  auto first = controller_.Read();
  ASSERT_TRUE(first.ok());
  Set(&PromptSource::prompts, "bird");
  controller_.Start(first.Take());
  ASSERT_EQ(host_.encoded.size(), 2u);
  EXPECT_EQ(Tags(1), 1u);
}

TEST_F(PromptsControllerTest, StatesOfTheFirstPrompts) {
  Start();
  EXPECT_EQ(controller_.state(), State::kEncoding);
  controller_.OnEncoded(Cancelled("newer ones"), nullptr);
  EXPECT_EQ(controller_.state(), State::kEncoding);
  controller_.OnEncoded(InvalidArgument("no"), nullptr);
  EXPECT_EQ(controller_.state(), State::kFailing);
  host_.RunCalls();
  EXPECT_EQ(controller_.state(), State::kFailed);
  EXPECT_EQ(host_.failed.size(), 1u);
  controller_.Stop();
  EXPECT_EQ(controller_.state(), State::kNone);
}

TEST_F(PromptsControllerTest, LaterPromptsThatFailAreRefused) {
  Start();
  controller_.OnEncoded({}, std::make_shared<PromptBank>());
  EXPECT_EQ(controller_.state(), State::kReady);
  controller_.OnEncoded(InvalidArgument("no"), nullptr);
  controller_.OnEncoded({}, std::make_shared<PromptBank>());
  host_.RunCalls();
  EXPECT_EQ(controller_.state(), State::kReady);
  EXPECT_EQ(host_.refused.size(), 1u);
  EXPECT_TRUE(host_.failed.empty());
  EXPECT_EQ(host_.taken, (std::vector<bool>{false, true}));
}

}  // namespace
}  // namespace cliptag::test
