// How many messages of ours wait on a bus, by what can be seen of it.
#include "plugin/elements/cliptag/output/unread_messages.h"

#include "tests/elements/gst_test.h"

namespace cliptag::test {
namespace {

constexpr size_t kMost = 10;

class UnreadMessagesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    pipeline_ = gst_pipeline_new(nullptr);
    GstElement* bin = gst_bin_new(nullptr);
    element_ = gst_element_factory_make("identity", nullptr);
    other_ = gst_element_factory_make("identity", nullptr);
    gst_bin_add_many(GST_BIN(bin), element_, other_, nullptr);
    gst_bin_add(GST_BIN(pipeline_), bin);
    bus_ = gst_pipeline_get_bus(GST_PIPELINE(pipeline_));
  }
  void TearDown() override {
    gst_bus_set_flushing(bus_, TRUE);
    gst_object_unref(bus_);
    gst_object_unref(pipeline_);
  }

  // As the element does it; how many were posted.
  int Post(int wanted) {
    int posted = 0;
    for (int i = 0; i < wanted; ++i) {
      if (!unread_.HasRoom(element_, kMost)) continue;
      GstMessage* message =
          gst_message_new_element(GST_OBJECT(element_), gst_structure_new_empty("cliptag"));
      unread_.Posted(message);
      gst_element_post_message(element_, message);
      ++posted;
    }
    return posted;
  }
  void PostOther() {
    gst_element_post_message(
        other_, gst_message_new_element(GST_OBJECT(other_), gst_structure_new_empty("level")));
  }
  int Read(int most) {
    int n = 0;
    for (GstMessage* message; n < most && (message = gst_bus_pop(bus_)) != nullptr; ++n)
      gst_message_unref(message);
    return n;
  }

  GstElement *pipeline_ = nullptr, *element_ = nullptr, *other_ = nullptr;
  GstBus* bus_ = nullptr;
  UnreadMessages unread_;
};

TEST_F(UnreadMessagesTest, AreBoundedWhereNobodyReads) {
  EXPECT_EQ(Post(1000), static_cast<int>(kMost));
  EXPECT_EQ(Read(1000), static_cast<int>(kMost));
}

TEST_F(UnreadMessagesTest, AReaderMakesRoom) {
  Post(1000);
  EXPECT_EQ(Read(3), 3);
  EXPECT_EQ(Post(1000), 3);
  Read(1000);
  EXPECT_EQ(Post(1000), static_cast<int>(kMost));
}

TEST_F(UnreadMessagesTest, AReaderThatKeepsUpMissesNone) {
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(Post(static_cast<int>(kMost)), static_cast<int>(kMost)) << i;
    ASSERT_EQ(Read(1000), static_cast<int>(kMost));
  }
}

TEST_F(UnreadMessagesTest, AreNotThoseThatWereReadAndAreHeld) {
  std::vector<MessagePtr> held;
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(Post(1), 1) << i;
    held.emplace_back(gst_bus_pop(bus_));
  }
}

TEST_F(UnreadMessagesTest, AreNotThoseThatASyncHandlerTakes) {
  int taken = 0;
  gst_bus_set_sync_handler(
      bus_,
      [](GstBus*, GstMessage* message, gpointer count) {
        ++*static_cast<int*>(count);
        gst_message_unref(message);
        return GST_BUS_DROP;
      },
      &taken, nullptr);
  EXPECT_EQ(Post(100), 100);
  EXPECT_EQ(taken, 100);
  gst_bus_set_sync_handler(bus_, nullptr, nullptr, nullptr);
}

TEST_F(UnreadMessagesTest, AreBoundedBehindAMessageOfAnotherKind) {
  gst_element_post_message(other_, gst_message_new_latency(GST_OBJECT(other_)));
  EXPECT_EQ(Post(1000), static_cast<int>(kMost));
  EXPECT_EQ(Read(1), 1);  // the other one
  EXPECT_EQ(Post(1000), 0);
  Read(5);
  EXPECT_EQ(Post(1000), 5);
}

TEST_F(UnreadMessagesTest, AreBoundedAmongThoseOfOthers) {
  int posted = 0;
  for (int i = 0; i < 100; ++i) {
    PostOther();
    posted += Post(1);
    if (i % 10 == 0) Read(1);  // far too slow
  }
  EXPECT_LE(posted, static_cast<int>(kMost) + 10);
  EXPECT_GE(posted, static_cast<int>(kMost));
}

TEST_F(UnreadMessagesTest, WithoutABusThereIsRoom) {
  GstElement* alone = gst_element_factory_make("identity", nullptr);
  gst_object_ref_sink(alone);
  EXPECT_TRUE(unread_.HasRoom(alone, 1));
  gst_object_unref(alone);
}

}  // namespace
}  // namespace cliptag::test
