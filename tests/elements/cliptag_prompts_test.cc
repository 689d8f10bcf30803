// Prompts of `cliptag`, from its properties and from a file, changed while it plays.
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/elements/cliptag_fixture.h"

namespace cliptag::test {
namespace {

using Labels = std::vector<std::string>;

class PromptsTest : public ClipTagTest {};

TEST_F(PromptsTest, PromptsTemplatesAndBackgroundChangeWhilePlaying) {
  PlayAndWait();
  EXPECT_EQ(Fake().labels(), (Labels{"cat", "dog"}));
  Set("prompts", "bird\nfish");
  ASSERT_TRUE(WaitFor([] { return Fake().labels() == Labels{"bird", "fish"}; }));
  Set("templates", "a drawing of a {}.; {}");
  ASSERT_TRUE(WaitFor([] { return Fake().spec().templates.size() == 2; }));
  Set("background", "a wall; the sky; nothing");
  ASSERT_TRUE(WaitFor([] { return Fake().spec().background.size() == 3; }));
  EXPECT_EQ(Fake().spec().templates[0], "a drawing of a {}.");
  EXPECT_TRUE(Warnings().empty());
}

TEST_F(PromptsTest, AnEmptyLabelWhilePlayingIsAWarningAndTheOldOnesStay) {
  PlayAndWait();
  Set("prompts", "bird;;fish");
  EXPECT_EQ(Warnings().size(), 1u);
  gchar* prompts = nullptr;
  g_object_get(element_, "prompts", &prompts, nullptr);
  EXPECT_STREQ(prompts, "cat; dog");
  g_free(prompts);
  EXPECT_EQ(Fake().labels(), (Labels{"cat", "dog"}));
  Set("prompts", kUnencodable);
  ASSERT_TRUE(WaitFor([&] { return Warnings().size() == 1; }));
  EXPECT_NE(MetaOf(Through(0).get()), nullptr) << "playing goes on";
}

TEST_F(PromptsTest, APromptThatIsTooLongIsOneWarning) {
  Set("prompts", std::string(kTooLong) + "; dog");
  PlayAndWait();
  std::vector<std::string> warnings;
  ASSERT_TRUE(WaitFor([&] { return !(warnings = Warnings()).empty(); }));
  EXPECT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find(kTooLong), std::string::npos);
}

class PromptsFileTest : public PromptsTest {
 protected:
  void SetUp() override {
    PromptsTest::SetUp();
    gchar* directory = g_dir_make_tmp("cliptag-XXXXXX", nullptr);
    ASSERT_NE(directory, nullptr);
    directory_ = directory;
    g_free(directory);
    path_ = directory_ + "/prompts";
  }
  void TearDown() override {
    PromptsTest::TearDown();
    unlink(path_.c_str());
    rmdir(directory_.c_str());
  }
  void Write(const std::string& text) { std::ofstream(path_) << text; }
  std::string NextWarning() {
    std::vector<std::string> warnings;
    EXPECT_TRUE(WaitFor([&] { return !(warnings = Warnings()).empty(); }));
    EXPECT_EQ(warnings.size(), 1u);
    return warnings.empty() ? "" : warnings[0];
  }

  std::string directory_, path_;
};

TEST_F(PromptsFileTest, IsReadAgainWhenItChanges) {
  Write("one\ntwo\n");
  Set("prompts-file", path_);
  PlayAndWait();
  EXPECT_EQ(Fake().labels(), (Labels{"one", "two"})) << "it wins over prompts";
  Write("three\n");
  ASSERT_TRUE(WaitFor([] { return Fake().labels() == Labels{"three"}; }));
  Write("{\"tags\": [{\"label\": \"four\"},\n {\"label\": }]}");
  const std::string warning = NextWarning();
  EXPECT_NE(warning.find(path_), std::string::npos) << warning;
  EXPECT_NE(warning.find("2"), std::string::npos) << "names the line: " << warning;
  EXPECT_EQ(Fake().labels(), Labels{"three"});
  unlink(path_.c_str());
  EXPECT_NE(NextWarning().find("gone"), std::string::npos);
  EXPECT_EQ(Fake().labels(), Labels{"three"});
  Write("{\"tags\": [{\"label\": \"five\", \"negative\": [\"six\"]}]}");
  ASSERT_TRUE(WaitFor([] { return Fake().labels() == Labels{"five"}; }));
  EXPECT_EQ(Fake().spec().tags[0].negatives, Labels{"six"});
  // As editors do it: beside the file, then renamed.
  std::ofstream(path_ + "~") << "seven\n";
  ASSERT_EQ(rename((path_ + "~").c_str(), path_.c_str()), 0);
  ASSERT_TRUE(WaitFor([] { return Fake().labels() == Labels{"seven"}; }));
  EXPECT_TRUE(Warnings().empty());
}

TEST_F(PromptsFileTest, CanBeTakenBackWhilePlaying) {
  Write("one\n");
  Set("prompts-file", path_);
  PlayAndWait();
  Set("prompts-file", "");
  ASSERT_TRUE(WaitFor([] { return Fake().labels() == Labels{"cat", "dog"}; }));
  Write("two\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_EQ(Fake().labels(), (Labels{"cat", "dog"})) << "no longer watched";
  Set("prompts-file", path_);
  ASSERT_TRUE(WaitFor([] { return Fake().labels() == Labels{"two"}; }));
}

}  // namespace
}  // namespace cliptag::test
