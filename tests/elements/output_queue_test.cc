// The queue alone, without pads: order, bounds, flushing, errors, resuming.
#include "plugin/elements/cliptag/output/queue.h"
#include "tests/elements/blocking_call.h"
#include "tests/elements/gst_test.h"

namespace cliptag {
namespace {

Item FrameItem(guint64 pts = 0) {
  Item item;
  item.buffer.reset(gst_buffer_new());
  GST_BUFFER_PTS(item.buffer.get()) = pts;
  return item;
}

Item EventItem(GstEvent* event) {
  Item item;
  item.event.reset(event);
  return item;
}

class OutputQueueTest : public ::testing::Test {
 protected:
  OutputQueueTest() { queue_.Reset(); }
  OutputQueue queue_;
};

TEST(OutputQueueStart, RefusesUntilReset) {
  OutputQueue queue;
  EXPECT_EQ(queue.flow(), GST_FLOW_FLUSHING);
  EXPECT_FALSE(queue.Add(FrameItem()));
  EXPECT_EQ(queue.WaitForRoom(1, nullptr), GST_FLOW_FLUSHING);
  Item item;
  EXPECT_FALSE(queue.Take(&item));
}

TEST_F(OutputQueueTest, LeavesInOrderAndWaitsForThePendingHead) {
  Item first;
  first.held = std::make_shared<HeldFrame>();
  auto pending = first.held;
  ASSERT_TRUE(queue_.Add(std::move(first)));
  ASSERT_TRUE(queue_.Add(EventItem(gst_event_new_eos())));
  ASSERT_TRUE(queue_.Add(FrameItem(7)));
  EXPECT_FALSE(queue_.IsIdle());
  EXPECT_TRUE(queue_.HoldsEos());

  Item item;
  test::BlockingCall taker([&] { EXPECT_TRUE(queue_.Take(&item)); });
  EXPECT_TRUE(taker.Blocks());
  InferenceResult result;
  result.frame_number = 42;
  queue_.Complete(*pending, std::move(result));
  taker.Join();
  EXPECT_EQ(item.held->result.frame_number, 42u);
  queue_.Pushed(GST_FLOW_OK);
  ASSERT_TRUE(queue_.Take(&item));
  ASSERT_TRUE(item.event);
  queue_.Pushed(GST_FLOW_OK);
  ASSERT_TRUE(queue_.Take(&item));
  EXPECT_EQ(GST_BUFFER_PTS(item.buffer.get()), 7u);
  EXPECT_FALSE(queue_.IsIdle()) << "it is still being pushed";
  queue_.Pushed(GST_FLOW_OK);
  EXPECT_TRUE(queue_.IsIdle());
}

TEST_F(OutputQueueTest, BlocksAtItsBoundAndAsksToHurryOnce) {
  ASSERT_TRUE(queue_.Add(FrameItem()));
  ASSERT_TRUE(queue_.Add(EventItem(gst_event_new_gap(0, 1))));  // events take no room
  int hurried = 0;
  EXPECT_EQ(queue_.WaitForRoom(2, [&] { ++hurried; }), GST_FLOW_OK);
  EXPECT_EQ(hurried, 0);
  Item item;
  ASSERT_TRUE(queue_.Take(&item));
  test::BlockingCall adder(
      [&] { EXPECT_EQ(queue_.WaitForRoom(1, [&] { ++hurried; }), GST_FLOW_OK); });
  EXPECT_TRUE(adder.Blocks()) << "a frame that is being pushed still takes its room";
  queue_.Pushed(GST_FLOW_OK);
  adder.Join();
  EXPECT_EQ(hurried, 1);
}

TEST_F(OutputQueueTest, StopWakesEveryoneAndResetDropsWhatWasHeld) {
  Item item;
  item.held = std::make_shared<HeldFrame>();
  const std::weak_ptr<HeldFrame> held = item.held;
  ASSERT_TRUE(queue_.Add(std::move(item)));
  test::BlockingCall taker([&] {
    Item taken;
    EXPECT_FALSE(queue_.Take(&taken));
  });
  test::BlockingCall adder([&] { EXPECT_EQ(queue_.WaitForRoom(1, nullptr), GST_FLOW_FLUSHING); });
  test::BlockingCall drainer([&] { EXPECT_FALSE(queue_.WaitIdle()); });
  test::BlockingCall waiter([&] { EXPECT_FALSE(queue_.WaitUntil([] { return false; })); });
  for (test::BlockingCall* call : {&taker, &adder, &drainer, &waiter}) EXPECT_TRUE(call->Blocks());
  queue_.Stop(GST_FLOW_FLUSHING);
  for (test::BlockingCall* call : {&taker, &adder, &drainer, &waiter}) call->Join();
  EXPECT_FALSE(held.expired());
  queue_.Reset();
  EXPECT_TRUE(held.expired());
  EXPECT_TRUE(queue_.IsIdle());
  EXPECT_EQ(queue_.frames(), 0u);
}

TEST_F(OutputQueueTest, AnErrorDropsFramesKeepsEventsAndReturns) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(queue_.Add(FrameItem()));
  ASSERT_TRUE(queue_.Add(EventItem(gst_event_new_gap(0, 1))));
  Item item;
  ASSERT_TRUE(queue_.Take(&item));
  queue_.Pushed(GST_FLOW_NOT_LINKED);
  EXPECT_EQ(queue_.frames(), 0u);
  EXPECT_EQ(queue_.flow(), GST_FLOW_NOT_LINKED);
  EXPECT_FALSE(queue_.Add(FrameItem()));
  EXPECT_EQ(queue_.WaitForRoom(9, nullptr), GST_FLOW_NOT_LINKED);
  EXPECT_FALSE(queue_.ResumeFrom(GST_FLOW_EOS));
  EXPECT_TRUE(queue_.ResumeFrom(GST_FLOW_NOT_LINKED));
  ASSERT_TRUE(queue_.Take(&item));
  EXPECT_TRUE(item.event);
}

TEST_F(OutputQueueTest, AtTheEndOfStreamEventsStillLeave) {
  ASSERT_TRUE(queue_.Add(FrameItem()));
  ASSERT_TRUE(queue_.Add(FrameItem()));
  ASSERT_TRUE(queue_.Add(EventItem(gst_event_new_eos())));
  Item item;
  ASSERT_TRUE(queue_.Take(&item));
  queue_.Pushed(GST_FLOW_EOS);
  ASSERT_TRUE(queue_.Take(&item));
  ASSERT_TRUE(item.event);
  EXPECT_EQ(GST_EVENT_TYPE(item.event.get()), GST_EVENT_EOS);
  queue_.Pushed(GST_FLOW_OK);
  EXPECT_TRUE(queue_.IsIdle());
  EXPECT_EQ(queue_.flow(), GST_FLOW_EOS);
  EXPECT_TRUE(queue_.ResumeFrom(GST_FLOW_EOS));
  EXPECT_TRUE(queue_.Add(FrameItem()));
}

TEST(HeldFrameTest, UnmapsAndUnrefsWhateverHappens) {
  GstVideoInfo info;
  gst_video_info_set_format(&info, GST_VIDEO_FORMAT_I420, 4, 4);
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, info.size, nullptr);
  gst_buffer_ref(buffer);
  {
    HeldFrame frame;
    ASSERT_TRUE(frame.Map(BufferPtr(buffer), info));
    EXPECT_EQ(GST_MINI_OBJECT_REFCOUNT_VALUE(buffer), 2) << "mapped without a reference";
  }
  EXPECT_EQ(GST_MINI_OBJECT_REFCOUNT_VALUE(buffer), 1);
  EXPECT_TRUE(gst_memory_is_writable(gst_buffer_peek_memory(buffer, 0)));
  gst_buffer_unref(buffer);

  HeldFrame small;
  EXPECT_FALSE(small.Map(BufferPtr(gst_buffer_new_allocate(nullptr, 3, nullptr)), info));
  EXPECT_TRUE(small.TakeBuffer());
}

}  // namespace
}  // namespace cliptag
