// Prompts of `cliptag`, from its properties and from a file, changed while it plays.
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "plugin/elements/cliptag/prompts/file_watch.h"
#include "tests/elements/cliptag_fixture.h"
#include "tests/elements/run_pipeline.h"
#include "tests/elements/temporary_folder.h"

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

TEST_F(PromptsTest, ATagThatIsInTheBackgroundIsOneWarningWhereThatIsAsked) {
  Set("background", "a wall; dog");
  Set("prompts", "cat; dog");
  PlayAndWait();
  std::vector<std::string> warnings;
  ASSERT_TRUE(WaitFor([&] { return !(warnings = Warnings()).empty(); }));
  EXPECT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("\"dog\""), std::string::npos);
}

TEST_F(PromptsTest, LabelsThatAreHardlyMeantAreWarnedOf) {
  Set("prompts", "cat, dog");
  gst_util_set_object_arg(G_OBJECT(element_), "scoring", "softmax");
  PlayAndWait();
  std::vector<std::string> warnings;
  ASSERT_TRUE(WaitFor([&] {
    for (const std::string& one : Warnings()) warnings.push_back(one);
    return warnings.size() >= 2;
  }));
  EXPECT_NE(warnings[0].find("\"cat, dog\" is one label"), std::string::npos) << warnings[0];
  EXPECT_NE(warnings[1].find("Softmax over one label"), std::string::npos) << warnings[1];
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

TEST_F(PromptsFileTest, APipeInItsPlaceIsAWarningAndIsNotWaitedFor) {
  Write("one\n");
  Set("prompts-file", path_);
  PlayAndWait();
  // As a file would be put there: nothing is gone in between.
  ASSERT_EQ(mkfifo((path_ + "~").c_str(), 0600), 0);
  ASSERT_EQ(rename((path_ + "~").c_str(), path_.c_str()), 0);
  const std::string warning = NextWarning();
  EXPECT_NE(warning.find(path_ + " is a pipe"), std::string::npos) << warning;
  EXPECT_EQ(Fake().labels(), Labels{"one"});
  unlink(path_.c_str());
  Write("two\n");
  ASSERT_TRUE(WaitFor([] { return Fake().labels() == Labels{"two"}; }));
}

// --- exemplar pictures

class ExemplarsTest : public PromptsTest {
 protected:
  void SetUp() override {
    PromptsTest::SetUp();
    Set("prompts-file", folder_ / "prompts.json");
    std::filesystem::create_directory(folder_ / "mine");
  }
  void WritePicture(const std::string& name) {
    const RunResult run = RunPipeline(
        "videotestsrc num-buffers=1 ! video/x-raw,format=RGB,width=40,height=24 ! pngenc ! "
        "filesink location=\"" +
        (folder_ / name) + "\"");
    ASSERT_TRUE(run.eos) << run.error;
  }
  void WritePrompts(const std::string& images) {
    folder_.Write("prompts.json",
                  R"({"tags": [{"label": "fork lift", "images": )" + images + "}]}");
  }
  static std::vector<std::shared_ptr<const ExemplarPicture>> Pictures() {
    return Fake().spec().tags.at(0).pictures;
  }
  TemporaryFolder folder_;
};

TEST_F(ExemplarsTest, ReachTheEngineDecoded) {
  WritePicture("mine/a.png");
  WritePicture("mine/b.png");
  WritePicture("c.png");
  WritePrompts(R"(["mine", "c.png"])");
  PlayAndWait();
  ASSERT_EQ(Pictures().size(), 3u);
  for (const auto& picture : Pictures()) {
    EXPECT_EQ(picture->width, 40);
    EXPECT_EQ(picture->height, 24);
    EXPECT_EQ(picture->rgb.size(), 3u * 40 * 24);
  }
  WritePrompts("\"c.png\"");
  ASSERT_TRUE(WaitFor([] { return Fake().prompts_set() == 2; }));
  EXPECT_EQ(Pictures().size(), 1u);
}

TEST_F(ExemplarsTest, AtTheStartBadOnesAreErrors) {
  WritePrompts("\"none.png\"");
  std::string error = FailedStart();
  EXPECT_NE(error.find("'none.png'"), std::string::npos) << error;
  EXPECT_NE(error.find("'fork lift'"), std::string::npos) << error;
  WritePrompts("\"mine\"");
  error = FailedStart();
  EXPECT_NE(error.find("holds no picture"), std::string::npos) << error;
  folder_.Write("mine/text.jpg", "This is a text, whatever its name says.");
  error = FailedStart();
  EXPECT_NE(error.find("text.jpg"), std::string::npos) << error;
  EXPECT_NE(error.find("'fork lift'"), std::string::npos) << error;
}

TEST_F(ExemplarsTest, WhilePlayingBadOnesAreWarningsAndTheOldOnesStay) {
  WritePicture("c.png");
  WritePrompts("\"c.png\"");
  PlayAndWait();
  std::vector<std::string> warnings;
  for (const char* images : {"\"none.png\"", "\"mine\"", "\"prompts.json\""}) {
    WritePrompts(images);
    ASSERT_TRUE(WaitFor([&] { return !(warnings = Warnings()).empty(); })) << images;
    EXPECT_EQ(warnings.size(), 1u);
    EXPECT_NE(warnings[0].find("'fork lift'"), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find("stay as they were"), std::string::npos) << warnings[0];
    EXPECT_EQ(Fake().prompts_set(), 1);
  }
  EXPECT_NE(MetaOf(Through(0).get()), nullptr) << "playing goes on";
}

TEST_F(PromptsFileTest, CanBeTakenBackWhilePlaying) {
  Write("one\n");
  Set("prompts-file", path_);
  PlayAndWait();
  Set("prompts-file", "");
  ASSERT_TRUE(WaitFor([] { return Fake().labels() == Labels{"cat", "dog"}; }));
  Write("two\n");
  // One thread polls for all watches: a file that is reported after this one was written comes
  // later.
  const std::string later = path_ + ".later";
  std::ofstream(later) << "x";
  std::atomic<bool> reported{false};
  const FileWatch watch(later, {}, [&](FileWatch::Change) { reported = true; });
  ASSERT_TRUE(WaitFor([&] { return reported.load(); }));
  EXPECT_EQ(Fake().labels(), (Labels{"cat", "dog"})) << "no longer watched";
  Set("prompts-file", path_);
  ASSERT_TRUE(WaitFor([] { return Fake().labels() == Labels{"two"}; }));
}

}  // namespace
}  // namespace cliptag::test
