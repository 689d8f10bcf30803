// The ways in: settings as text, and the two functions for modules.
#include "tests/cuda/standin/standin_test.h"

namespace cliptag::standin {
namespace {

class ControlTest : public StandinTest {};

TEST_F(ControlTest, SettingsAsText) {
  Settings settings;
  std::string error;
  ASSERT_TRUE(
      ParseSettings("devices=2,capability=7.5,name=A B,sms=4,memory_mb=64,driver=11000,"
                    "order=3,kernel_order=1,protect=0,guard_pages=0,lose_after=9,lost_error=46,"
                    "algorithm_us=50:30,fail=cudaMalloc:2:2,fail=cudnnCreate:1:4000",
                    settings, error));
  EXPECT_EQ(settings.devices, 2);
  EXPECT_EQ(settings.major, 7);
  EXPECT_EQ(settings.minor, 5);
  EXPECT_EQ(settings.name, "A B");
  EXPECT_EQ(settings.multiprocessors, 4);
  EXPECT_EQ(settings.memory_bytes, size_t{64} << 20);
  EXPECT_EQ(settings.driver_version, 11000);
  EXPECT_EQ(settings.order, 3u);
  EXPECT_EQ(settings.kernel_order, 1u);
  EXPECT_FALSE(settings.protect);
  EXPECT_FALSE(settings.guard_pages);
  EXPECT_EQ(settings.lose_after, 9u);
  EXPECT_EQ(settings.lost_error, cudaErrorDevicesUnavailable);
  EXPECT_EQ(settings.algorithm_us, (std::vector<uint32_t>{50, 30}));
  ASSERT_EQ(settings.failures.size(), 2u);
  EXPECT_EQ(settings.failures[1].function, "cudnnCreate");
  EXPECT_EQ(settings.failures[1].error, 4000);
  for (const char* text : {"devices", "devices=x", "colour=1", "capability=9", "fail=cudaMalloc:1",
                           "algorithm_us=50:"}) {
    EXPECT_FALSE(ParseSettings(text, settings, error)) << text;
    EXPECT_NE(error.find(text), std::string::npos) << error;
  }
}

TEST_F(ControlTest, FromAnotherImage) {
  EXPECT_EQ(cliptag_standin_configure("nonsense"), -1);
  ASSERT_EQ(cliptag_standin_configure("memory_mb=1,fail=cudaMalloc:1:2"), 0);
  void* p = nullptr;
  EXPECT_EQ(cudaMalloc(&p, 4), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&p, 4), cudaSuccess);
  EXPECT_EQ(cliptag_standin_count("calls:cudaMalloc"), 2);
  EXPECT_EQ(cliptag_standin_count("allocations"), 1);
  EXPECT_EQ(cliptag_standin_count("live_total"), 1);
  EXPECT_EQ(cliptag_standin_count("nonsense"), -1);
  cudaFree(p);
}

}  // namespace
}  // namespace cliptag::standin
