// What `cliptag` says on the bus, to applications that answer at once, that never read, and that
// want to know which prompts are in use.
#include <fstream>

#include "tests/elements/cliptag_fixture.h"
#include "tests/elements/temporary_folder.h"

namespace cliptag::test {
namespace {

class MessagesTest : public ClipTagTest {
 protected:
  void TearDown() override {
    // A stop waits for no handler.
    EXPECT_TRUE(WaitFor([&] { return running_ == 0; }));
    gst_bus_set_sync_handler(bus_, nullptr, nullptr, nullptr);
    ClipTagTest::TearDown();
  }

  // On whichever thread posts it, within the post.
  void AnswerWarnings(std::function<void()> answer) {
    answer_ = std::move(answer);
    gst_bus_set_sync_handler(
        bus_,
        [](GstBus*, GstMessage* message, gpointer data) {
          auto* self = static_cast<MessagesTest*>(data);
          if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_WARNING) {
            ++self->running_;
            self->answer_();
            self->answered_ = true;
            --self->running_;
          }
          return GST_BUS_PASS;
        },
        this, nullptr);
  }
  bool WaitForAnswer() {
    return WaitFor([&] { return answered_.load(); });
  }
  void Stop() {
    EXPECT_EQ(gst_element_set_state(element_, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  }
  std::string File(const std::string& name, const std::string& text) {
    folder_.Write(name, text);
    return folder_ / name;
  }
  void ReadStats() {
    GstStructure* stats = nullptr;
    g_object_get(element_, "stats", &stats, nullptr);
    gst_structure_free(stats);
  }
  // Each is done within the post of a warning that `provoke` brings about.
  void TryAnswers(const std::function<void()>& provoke) {
    const std::string other = File("other", "dog\n");
    const std::function<void()> answers[] = {
        [&] { Set("prompts-file", other); }, [&] { Set("prompts-file", ""); },
        [&] {
          Set("prompts", "x; y");  // while the file is a bad one still: another warning
          Set("prompts-file", "");
        },
        [&] { ReadStats(); }, [&] { Stop(); }};
    for (const auto& answer : answers) {
      answered_ = false;
      AnswerWarnings(answer);
      Set("prompts", "cat");
      Set("prompts-file", File("prompts", "car\n"));
      ASSERT_NE(gst_element_set_state(element_, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
      provoke();
      ASSERT_TRUE(WaitForAnswer());
      Stop();
      // A stop waits for no handler.
      ASSERT_TRUE(WaitFor([&] { return running_ == 0; }));
    }
  }

  std::atomic<bool> answered_{false};
  std::atomic<int> running_{0};  // handlers
  std::function<void()> answer_;
  TemporaryFolder folder_;
};

// On the watcher's thread, which a stop and another prompts-file end.
TEST_F(MessagesTest, AWarningOfThePromptsFileMayBeAnsweredAtOnce) {
  TryAnswers([&] { folder_.Write("prompts", "\n"); });
}

// On the engine's worker, which a stop waits for.
TEST_F(MessagesTest, AWarningOfPromptsThatAreCutMayBeAnsweredAtOnce) {
  TryAnswers([&] { folder_.Write("prompts", std::string(kTooLong) + "\n"); });
}

TEST_F(MessagesTest, AWarningOfPromptsThatCannotBeEncodedMayBeAnsweredAtOnce) {
  TryAnswers([&] {
    ASSERT_TRUE(WaitFor([] { return Fake().labels() == std::vector<std::string>{"car"}; }));
    folder_.Write("prompts", std::string(kUnencodable) + "\n");
  });
}

// The application waits in the handler for something that a stop on another thread holds up.
TEST_F(MessagesTest, AStopDoesNotWaitForAHandlerOfWarnings) {
  std::atomic<bool> in_handler{false}, go_on{false};
  AnswerWarnings([&] {
    in_handler = true;
    EXPECT_TRUE(WaitFor([&] { return go_on.load(); }));
  });
  Set("prompts-file", File("prompts", "car\n"));
  PlayAndWait();
  folder_.Write("prompts", "\n");
  ASSERT_TRUE(WaitFor([&] { return in_handler.load(); }));
  Stop();
  go_on = true;
  ASSERT_TRUE(WaitForAnswer());
}

std::string HashOf(const MessagePtr& message) {
  const gchar* hash = gst_structure_get_string(gst_message_get_structure(message.get()), "hash");
  return hash != nullptr ? hash : "";
}

TEST_F(MessagesTest, OtherPromptsAreToldWithTheirNumberAndHash) {
  PlayAndWait();
  const auto change = [&](const char* property, const char* value) {
    std::vector<MessagePtr> told;
    Set(property, value);
    EXPECT_TRUE(WaitFor([&] {
      told = PopElementMessages(bus_, "cliptag-prompts");
      return !told.empty();
    })) << value;
    return told;
  };
  EXPECT_TRUE(PopElementMessages(bus_, "cliptag-prompts").empty()) << "the first are no change";
  const auto three = change("prompts", "bird; fish; horse");
  ASSERT_EQ(three.size(), 1u);
  guint count = 0;
  EXPECT_TRUE(gst_structure_get_uint(gst_message_get_structure(three[0].get()), "count", &count));
  EXPECT_EQ(count, 3u);
  EXPECT_EQ(HashOf(three[0]).size(), 64u);
  const std::string two = HashOf(change("prompts", "bird; fish").at(0));
  EXPECT_NE(two, HashOf(three[0]));
  const std::string templates = HashOf(change("templates", "a drawing of a {}.").at(0));
  EXPECT_NE(templates, two);
  EXPECT_EQ(HashOf(change("templates", "").at(0)), two) << "the same prompts, the same hash";
  Set("post-messages", "false");
  Set("prompts", "tree");
  ASSERT_TRUE(WaitFor([] { return Fake().labels() == std::vector<std::string>{"tree"}; }));
  EXPECT_NE(MetaOf(Through(0).get()), nullptr);
  EXPECT_TRUE(PopElementMessages(bus_, "cliptag-prompts").empty());
}

TEST_F(MessagesTest, ABusThatNobodyReadsIsNotFilledWithoutEnd) {
  Fake().max_batch = 1;
  PlayAndWait();
  guint64 n = 0;
  for (; n < 2100; ++n) Through(n);
  EXPECT_EQ(Warnings().size(), 1u) << "and reading them reads the others";
  Through(n++);
  const auto told = PopElementMessages(bus_, "cliptag");
  EXPECT_EQ(told.size(), 1u);
  guint64 dropped = 0;
  GstStructure* stats = nullptr;
  g_object_get(element_, "stats", &stats, nullptr);
  EXPECT_TRUE(gst_structure_get_uint64(stats, "messages-dropped", &dropped));
  gst_structure_free(stats);
  EXPECT_GE(dropped, 50u);
  EXPECT_LE(dropped, 110u);
}

}  // namespace
}  // namespace cliptag::test
