// Preprocessing of frames as large as video has them, from host and from device memory: on a GPU.
// Over the stand-in, small ones.
#include "tests/cuda/backend/backend_fixture.h"
#include "tests/preprocess/pictures.h"

namespace cliptag::cuda {
namespace {

struct Case {
  const char* layout;
  int width, height, padding;
  int size, patch;
  Fit fit;
};

std::vector<Case> Cases() {
  if (!test_device::IsFast()) {
    return {{"NV12", 96, 54, 32, 32, 16, Fit::kCrop}, {"RGB", 33, 61, 1, 28, 14, Fit::kLetterbox}};
  }
  return {{"NV12", 1920, 1080, 128, 224, 32, Fit::kCrop},
          {"NV12", 1280, 720, 0, 336, 14, Fit::kLetterbox},
          {"I420", 1920, 1080, 64, 224, 14, Fit::kSquash},
          {"P010_10LE", 1920, 1080, 256, 224, 16, Fit::kCrop},
          {"YUY2", 720, 576, 0, 224, 16, Fit::kCrop},
          {"RGB", 1921, 1081, 5, 224, 14, Fit::kCrop},
          {"GRAY8", 1600, 1200, 0, 336, 14, Fit::kSquash},
          {"NV12", 160, 120, 96, 336, 14, Fit::kCrop},
          {"NV12", 3840, 2160, 256, 224, 32, Fit::kCrop}};
}

class PreprocessLargeTest : public BackendTest {
 protected:
  // The frame with its planes copied to the device.
  struct DeviceFrame {
    FrameView view;
    std::vector<std::unique_ptr<Memory>> planes;
  };
  DeviceFrame ToDevice(const TestFrame& frame, const Case& c) {
    DeviceFrame device;
    device.view = frame.view;
    device.view.memory = FrameMemory::kCuda;
    const Layout& layout = LayoutNamed(c.layout);
    for (size_t p = 0; p < frame.planes.size(); ++p) {
      for (int i = 0; i < 3; ++i) {
        if (layout.component[i].plane != static_cast<int>(p)) continue;
        const Component& from = frame.view.component[i];
        if (from.data == nullptr) continue;
        if (device.planes.size() == p) {
          const int shift = i == 0 ? 0 : frame.view.chroma_shift_y;
          const int rows = (c.height + (1 << shift) - 1) >> shift;
          // The last row has no padding behind it.
          const size_t bytes = static_cast<size_t>(from.row_stride) * (rows - 1) +
                               static_cast<size_t>(from.row_stride - c.padding);
          auto memory = backend_->Allocate(bytes);
          EXPECT_TRUE(memory.ok()) << memory.status().message();
          device.planes.push_back(memory.Take());
          const Status status =
              backend_->CopyFromHost(frame.planes[p].get(), bytes, device.planes[p]->data());
          EXPECT_TRUE(status.ok()) << status.message();
        }
        device.view.component[i].data = static_cast<const uint8_t*>(device.planes[p]->data()) +
                                        (from.data - frame.planes[p].get());
      }
    }
    return device;
  }

  void ExpectPixels(const OnDevice& out, const std::vector<float>& want, const char* where) {
    const std::vector<float> got = out.values();
    ASSERT_EQ(got.size(), want.size());
    // Of the oracle's pixels, or a rounding to 8 bits apart, in either type.
    const double bound = 1.0 / 255 + (type() == DType::kF16 ? 5e-4 : 4e-3);
    double worst = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const double difference = std::abs(double{got[i]} - want[i]);
      if (!(difference <= worst)) worst = difference;
      ASSERT_TRUE(difference <= bound)
          << where << ", element " << i << ": " << got[i] << " instead of " << want[i];
    }
    RecordProperty(where, std::to_string(worst));
  }
};

TEST_P(PreprocessLargeTest, HostAndDeviceMemory) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(testing::Message() << c.layout << " " << c.width << "x" << c.height);
    const Layout& layout = LayoutNamed(c.layout);
    const TestFrame frame =
        MakeFrame(layout, c.width, c.height, Noise(7, layout, c.width), c.padding);
    const PreprocessSpec spec = PlainSpec(c.size, c.patch, c.fit, Interpolation::kBicubic);
    const int64_t side = c.size / c.patch, cols = int64_t{3} * c.patch * c.patch;
    TestMatrix exact(side * side, cols, DType::kF32);
    ASSERT_STATUS_OK(ref_->Preprocess({&frame.view, 1}, spec, exact));
    const std::vector<float> want = exact.values();

    const OnDevice from_host(*backend_, TestMatrix(side * side, cols, type()));
    ASSERT_STATUS_OK(backend_->Preprocess({&frame.view, 1}, spec, from_host));
    ExpectPixels(from_host, want, "host");
    const DeviceFrame device = ToDevice(frame, c);
    ASSERT_STATUS_OK(backend_->Sync());
    const OnDevice from_device(*backend_, TestMatrix(side * side, cols, type()));
    ASSERT_STATUS_OK(backend_->Preprocess({&device.view, 1}, spec, from_device));
    ExpectPixels(from_device, want, "device");
    ASSERT_STATUS_OK(backend_->Sync());  // before its memory goes
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_BACKEND_TESTS(PreprocessLargeTest);

}  // namespace
}  // namespace cliptag::cuda
