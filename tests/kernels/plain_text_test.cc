// Text of untrusted files in messages.
#include "kernels/base/plain_text.h"

#include <gtest/gtest.h>

#include <string>

#include "kernels/base/log.h"

namespace cliptag {
namespace {

TEST(PlainText, KeepsWords) {
  for (const std::string text :
       {"", "a file 'x.png' is missing", "größer … 日本語 🚗", "\U0010FFFD"}) {
    EXPECT_EQ(PlainText(text), text);
  }
}

TEST(PlainText, HidesWhatMovesACursorOrTurnsText) {
  EXPECT_EQ(PlainText("a\x1b[2Jb\nc\td\x7f"), "a?[2Jb?c?d?");
  EXPECT_EQ(PlainText("\u009b31m"), "?31m");                   // CSI in one character
  EXPECT_EQ(PlainText("x\u202egpj.exe\u2066"), "x?gpj.exe?");  // right to left
  EXPECT_EQ(PlainText("a\u2028b\ufeff"), "a?b?");
  EXPECT_EQ(PlainText(std::string("a\0b", 3)), "a?b");
}

TEST(PlainText, HidesBytesThatAreNoText) {
  EXPECT_EQ(PlainText("\xff\xc3"), "??");
  EXPECT_EQ(PlainText("\xc0\xaf"), "??");            // too long
  EXPECT_EQ(PlainText("\xed\xa0\x80"), "???");       // half of a surrogate pair
  EXPECT_EQ(PlainText("\xf4\x90\x80\x80"), "????");  // beyond Unicode
  EXPECT_EQ(PlainText("\xe2\x82"
                      "a"),
            "??a");  // cut short
}

TEST(PlainText, CutsTheMiddleAtCharacters) {
  for (size_t shift = 0; shift < 3; ++shift) {
    std::string text(shift, 'a');
    for (int i = 0; i < 1'000'000; ++i) text += "日";
    const std::string cut = PlainText("begin " + text + " end");
    EXPECT_LE(cut.size(), 2000u);
    EXPECT_TRUE(cut.starts_with("begin ") && cut.ends_with(" end")) << shift;
    EXPECT_NE(cut.find(" … "), std::string::npos);
    EXPECT_EQ(cut.find('?'), std::string::npos) << shift;
  }
}

TEST(PlainText, EndsASentenceOnce) {
  EXPECT_EQ(PlainSentence("out of memory"), "out of memory.");
  EXPECT_EQ(PlainSentence("It is gone."), "It is gone.");
  EXPECT_EQ(PlainSentence("Which\none?"), "Which?one?");
}

TEST(PlainText, IsWhatTheLogPassesOn) {
  std::string logged;
  SetLogCallback([&](LogLevel, const std::string& message) { logged = message; });
  Log(LogLevel::kWarning, "of '\x1b[1m'");
  SetLogCallback(nullptr);
  EXPECT_EQ(logged, "of '?[1m'");
}

}  // namespace
}  // namespace cliptag
