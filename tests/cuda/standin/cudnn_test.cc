// cuDNN's convolutions and pooling against plain loops in double, and what they must refuse.
#include <cudnn.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "tests/cuda/standin/product.h"
#include "tests/cuda/standin/runtime.h"
#include "tests/cuda/standin/standin_test.h"

namespace cliptag::standin {
namespace {

using testing::SizeIs;

constexpr cudnnDataType_t kTypes[] = {CUDNN_DATA_FLOAT, CUDNN_DATA_HALF, CUDNN_DATA_BFLOAT16};

Number NumberOf(cudnnDataType_t type) {
  return type == CUDNN_DATA_FLOAT  ? Number::kF32
         : type == CUDNN_DATA_HALF ? Number::kF16
                                   : Number::kBf16;
}

struct Tensor {
  cudnnTensorFormat_t format;
  cudnnDataType_t type;
  int n, c, h, w;
  std::vector<char> bytes;
  void* device = nullptr;

  int64_t Index(int b, int channel, int y, int x) const {
    return format == CUDNN_TENSOR_NCHW ? ((int64_t{b} * c + channel) * h + y) * w + x
                                       : ((int64_t{b} * h + y) * w + x) * c + channel;
  }
  double at(int b, int channel, int y, int x) const {
    return Load(NumberOf(type), bytes.data(), Index(b, channel, y, x));
  }
};

class CudnnTest : public StandinTest {
 protected:
  struct Case {
    cudnnTensorFormat_t format = CUDNN_TENSOR_NHWC;
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    int n = 2, c = 6, h = 9, w = 7, k = 8, r = 3, s = 3, pad = 1, stride = 2, dilation = 1;
    int groups = 1;
    bool bias = false, relu = false;
    float alpha = 1, beta = 0;
  };

  void SetUp() override {
    StandinTest::SetUp();
    stream_ = NewStream();
    ASSERT_EQ(cudnnCreate(&handle_), CUDNN_STATUS_SUCCESS);
    ASSERT_EQ(cudnnSetStream(handle_, stream_), CUDNN_STATUS_SUCCESS);
    for (auto* desc : {&x_, &y_, &z_, &bias_}) cudnnCreateTensorDescriptor(desc);
    cudnnCreateFilterDescriptor(&w_);
    cudnnCreateConvolutionDescriptor(&conv_);
    cudnnCreateActivationDescriptor(&activation_);
    cudnnCreatePoolingDescriptor(&pooling_);
  }
  void TearDown() override {
    for (auto* desc : {x_, y_, z_, bias_}) cudnnDestroyTensorDescriptor(desc);
    cudnnDestroyFilterDescriptor(w_);
    cudnnDestroyConvolutionDescriptor(conv_);
    cudnnDestroyActivationDescriptor(activation_);
    cudnnDestroyPoolingDescriptor(pooling_);
    EXPECT_EQ(cudnnDestroy(handle_), CUDNN_STATUS_SUCCESS);
    StandinTest::TearDown();
  }

  Tensor Make(cudnnTensorFormat_t format, cudnnDataType_t type, int n, int c, int h, int w) {
    Tensor t{format, type, n, c, h, w, {}, nullptr};
    const int64_t count = int64_t{n} * c * h * w;
    t.bytes.resize(static_cast<size_t>(count) * SizeOf(NumberOf(type)));
    for (int64_t i = 0; i < count; ++i) {
      Store(NumberOf(type), t.bytes.data(), i, static_cast<float>(random_() % 2001) / 1000 - 1);
    }
    t.device = Device((t.bytes.size() + 3) / 4);
    EXPECT_EQ(
        cudaMemcpyAsync(t.device, t.bytes.data(), t.bytes.size(), cudaMemcpyHostToDevice, stream_),
        cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);  // the host's copy may go at any time
    return t;
  }

  // The tensors and descriptors of a case.
  void Prepare(const Case& t) {
    const int oh = (t.h + 2 * t.pad - (t.r - 1) * t.dilation - 1) / t.stride + 1;
    const int ow = (t.w + 2 * t.pad - (t.s - 1) * t.dilation - 1) / t.stride + 1;
    input_ = Make(t.format, t.type, t.n, t.c, t.h, t.w);
    filter_ = Make(t.format, t.type, t.k, t.c / t.groups, t.r, t.s);
    residual_ = Make(t.format, t.type, t.n, t.k, oh, ow);
    output_ = Make(t.format, t.type, t.n, t.k, oh, ow);
    biases_ = Make(t.format, t.type, 1, t.k, 1, 1);
    cudnnSetTensor4dDescriptor(x_, t.format, t.type, t.n, t.c, t.h, t.w);
    cudnnSetTensor4dDescriptor(y_, t.format, t.type, t.n, t.k, oh, ow);
    cudnnSetTensor4dDescriptor(z_, t.format, t.type, t.n, t.k, oh, ow);
    cudnnSetTensor4dDescriptor(bias_, CUDNN_TENSOR_NCHW, t.type, 1, t.k, 1, 1);
    cudnnSetFilter4dDescriptor(w_, t.type, t.format, t.k, t.c / t.groups, t.r, t.s);
    cudnnSetConvolution2dDescriptor(conv_, t.pad, t.pad, t.stride, t.stride, t.dilation, t.dilation,
                                    CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT);
    cudnnSetConvolutionGroupCount(conv_, t.groups);
    cudnnSetConvolutionMathType(conv_, CUDNN_TENSOR_OP_MATH);
    cudnnSetActivationDescriptor(activation_,
                                 t.relu ? CUDNN_ACTIVATION_RELU : CUDNN_ACTIVATION_IDENTITY,
                                 CUDNN_NOT_PROPAGATE_NAN, 0);
  }

  cudnnStatus_t Convolve(const Case& t, cudnnConvolutionFwdAlgo_t algo, void* workspace,
                         size_t bytes) {
    if (!t.bias) {
      return cudnnConvolutionForward(handle_, &t.alpha, x_, input_.device, w_, filter_.device,
                                     conv_, algo, workspace, bytes, &t.beta, y_, output_.device);
    }
    return cudnnConvolutionBiasActivationForward(
        handle_, &t.alpha, x_, input_.device, w_, filter_.device, conv_, algo, workspace, bytes,
        &t.beta, z_, residual_.device, bias_, biases_.device, activation_, y_, output_.device);
  }

  void Check(const Case& t) {
    Prepare(t);
    int n = 0, c = 0, h = 0, w = 0, count = 0;
    ASSERT_EQ(cudnnGetConvolution2dForwardOutputDim(conv_, x_, w_, &n, &c, &h, &w),
              CUDNN_STATUS_SUCCESS);
    ASSERT_TRUE(n == output_.n && c == output_.c && h == output_.h && w == output_.w);
    cudnnConvolutionFwdAlgoPerf_t perf[2];
    ASSERT_EQ(cudnnGetConvolutionForwardAlgorithm_v7(handle_, x_, w_, conv_, y_, 2, &count, perf),
              CUDNN_STATUS_SUCCESS);
    ASSERT_EQ(count, 2);
    ASSERT_EQ(perf[0].status, CUDNN_STATUS_SUCCESS);
    size_t bytes = 0;
    ASSERT_EQ(
        cudnnGetConvolutionForwardWorkspaceSize(handle_, x_, w_, conv_, y_, perf[0].algo, &bytes),
        CUDNN_STATUS_SUCCESS);
    EXPECT_EQ(bytes, perf[0].memory);
    const Tensor before = output_;
    ASSERT_EQ(Convolve(t, perf[0].algo, Device(bytes / 4), bytes), CUDNN_STATUS_SUCCESS);
    ReadBack();
    ForEach([&](int b, int k, int y, int x) {
      double expected = t.alpha * Sum(t, b, k, y, x);
      expected += t.beta * (t.bias ? residual_ : before).at(b, k, y, x);
      if (t.bias) expected += biases_.at(0, k, 0, 0);
      Compare(t.type, b, k, y, x, t.relu ? std::max(expected, 0.0) : expected);
    });
  }

  double Sum(const Case& t, int b, int k, int y, int x) const {
    double sum = 0;
    const int group = k / (t.k / t.groups);
    for (int c = 0; c < filter_.c; ++c) {
      for (int r = 0; r < t.r; ++r) {
        for (int s = 0; s < t.s; ++s) {
          const int iy = y * t.stride - t.pad + r * t.dilation;
          const int ix = x * t.stride - t.pad + s * t.dilation;
          if (iy < 0 || iy >= t.h || ix < 0 || ix >= t.w) continue;
          sum += input_.at(b, group * filter_.c + c, iy, ix) * filter_.at(k, c, r, s);
        }
      }
    }
    return sum;
  }

  void ReadBack() {
    ASSERT_EQ(cudaMemcpyAsync(output_.bytes.data(), output_.device, output_.bytes.size(),
                              cudaMemcpyDeviceToHost, stream_),
              cudaSuccess);
  }
  void ForEach(const std::function<void(int, int, int, int)>& body) const {
    for (int b = 0; b < output_.n; ++b) {
      for (int k = 0; k < output_.c; ++k) {
        for (int y = 0; y < output_.h; ++y) {
          for (int x = 0; x < output_.w; ++x) body(b, k, y, x);
        }
      }
    }
  }
  void Compare(cudnnDataType_t type, int b, int k, int y, int x, double expected) const {
    const double ulp = type == CUDNN_DATA_FLOAT ? 1e-6 : type == CUDNN_DATA_HALF ? 0x1p-11 : 0x1p-8;
    EXPECT_NEAR(output_.at(b, k, y, x), expected, ulp * (1 + std::abs(expected)))
        << b << ", " << k << ", " << y << ", " << x;
  }

  cudnnHandle_t handle_ = nullptr;
  cudaStream_t stream_ = nullptr;
  cudnnTensorDescriptor_t x_, y_, z_, bias_;
  cudnnFilterDescriptor_t w_;
  cudnnConvolutionDescriptor_t conv_;
  cudnnActivationDescriptor_t activation_;
  cudnnPoolingDescriptor_t pooling_;
  Tensor input_, filter_, residual_, output_, biases_;
  std::mt19937 random_{1};
};

TEST_F(CudnnTest, Convolutions) {
  for (const cudnnTensorFormat_t format : {CUDNN_TENSOR_NCHW, CUDNN_TENSOR_NHWC}) {
    for (const cudnnDataType_t type : kTypes) {
      SCOPED_TRACE(testing::Message() << format << " " << type);
      Check({.format = format, .type = type});
      Check({.format = format, .type = type, .r = 1, .s = 1, .pad = 0, .stride = 1});
      Check({.format = format,
             .type = type,
             .r = 2,
             .s = 3,
             .dilation = 2,
             .alpha = 2,
             .beta = 0.5f});
      Check({.format = format, .type = type, .stride = 1, .groups = 2});
      Check({.format = format, .type = type, .bias = true, .beta = 1});
      Check({.format = format, .type = type, .bias = true, .relu = true, .beta = 0.25f});
    }
  }
}

TEST_F(CudnnTest, Pooling) {
  for (const cudnnTensorFormat_t format : {CUDNN_TENSOR_NCHW, CUDNN_TENSOR_NHWC}) {
    for (const cudnnDataType_t type : kTypes) {
      for (const cudnnPoolingMode_t mode :
           {CUDNN_POOLING_MAX, CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING,
            CUDNN_POOLING_AVERAGE_COUNT_EXCLUDE_PADDING}) {
        SCOPED_TRACE(testing::Message() << format << " " << type << " " << mode);
        input_ = Make(format, type, 2, 3, 7, 6);
        output_ = Make(format, type, 2, 3, 4, 3);
        cudnnSetTensor4dDescriptor(x_, format, type, 2, 3, 7, 6);
        cudnnSetTensor4dDescriptor(y_, format, type, 2, 3, 4, 3);
        ASSERT_EQ(
            cudnnSetPooling2dDescriptor(pooling_, mode, CUDNN_PROPAGATE_NAN, 3, 3, 1, 1, 2, 2),
            CUDNN_STATUS_SUCCESS);
        int n = 0, c = 0, h = 0, w = 0;
        ASSERT_EQ(cudnnGetPooling2dForwardOutputDim(pooling_, x_, &n, &c, &h, &w),
                  CUDNN_STATUS_SUCCESS);
        ASSERT_TRUE(n == 2 && c == 3 && h == 4 && w == 3);
        const float one = 1, zero = 0;
        ASSERT_EQ(cudnnPoolingForward(handle_, pooling_, &one, x_, input_.device, &zero, y_,
                                      output_.device),
                  CUDNN_STATUS_SUCCESS);
        ReadBack();
        ForEach([&](int b, int k, int y, int x) {
          double largest = -std::numeric_limits<double>::infinity(), sum = 0;
          int count = 0;
          for (int iy = std::max(0, 2 * y - 1); iy < std::min(7, 2 * y + 2); ++iy) {
            for (int ix = std::max(0, 2 * x - 1); ix < std::min(6, 2 * x + 2); ++ix) {
              largest = std::max(largest, input_.at(b, k, iy, ix));
              sum += input_.at(b, k, iy, ix);
              ++count;
            }
          }
          if (mode == CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING) count = 9;
          Compare(type, b, k, y, x, mode == CUDNN_POOLING_MAX ? largest : sum / count);
        });
      }
    }
  }
}

TEST_F(CudnnTest, RefusesWhatDoesNotMatch) {
  const Case good{.type = CUDNN_DATA_HALF, .bias = true};
  constexpr auto kAlgo = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
  const struct {
    const char* what;
    cudnnStatus_t status;
    std::function<void()> change;
  } cases[] = {
      {"channels", CUDNN_STATUS_BAD_PARAM,
       [&] { cudnnSetTensor4dDescriptor(x_, good.format, good.type, 2, 5, 9, 7); }},
      {"output", CUDNN_STATUS_BAD_PARAM,
       [&] { cudnnSetTensor4dDescriptor(y_, good.format, good.type, 2, 8, 5, 5); }},
      {"types", CUDNN_STATUS_BAD_PARAM,
       [&] { cudnnSetFilter4dDescriptor(w_, CUDNN_DATA_BFLOAT16, good.format, 8, 6, 3, 3); }},
      {"layouts", CUDNN_STATUS_NOT_SUPPORTED,
       [&] { cudnnSetTensor4dDescriptor(x_, CUDNN_TENSOR_NCHW, good.type, 2, 6, 9, 7); }},
      {"groups", CUDNN_STATUS_BAD_PARAM, [&] { cudnnSetConvolutionGroupCount(conv_, 3); }},
      {"compute type", CUDNN_STATUS_NOT_SUPPORTED,
       [&] {
         cudnnSetConvolution2dDescriptor(conv_, 1, 1, 2, 2, 1, 1, CUDNN_CROSS_CORRELATION,
                                         CUDNN_DATA_HALF);
       }},
      {"residual", CUDNN_STATUS_NOT_SUPPORTED,
       [&] { cudnnSetTensor4dDescriptor(z_, good.format, good.type, 1, 8, 5, 4); }},
      {"bias type", CUDNN_STATUS_NOT_SUPPORTED,
       [&] { cudnnSetTensor4dDescriptor(bias_, good.format, CUDNN_DATA_FLOAT, 1, 8, 1, 1); }},
      {"activation", CUDNN_STATUS_NOT_SUPPORTED,
       [&] {
         cudnnSetActivationDescriptor(activation_, CUDNN_ACTIVATION_TANH, CUDNN_NOT_PROPAGATE_NAN,
                                      0);
       }},
      {"host memory", CUDNN_STATUS_BAD_PARAM, [&] { biases_.device = biases_.bytes.data(); }},
      {"alignment", CUDNN_STATUS_BAD_PARAM,
       [&] { input_.device = reinterpret_cast<char*>(Device(4096)) + 2; }},
      {"in place", CUDNN_STATUS_BAD_PARAM, [&] { output_.device = input_.device; }},
  };
  float* workspace = Device(1024);
  for (const auto& c : cases) {
    Prepare(good);
    EXPECT_EQ(Convolve(good, kAlgo, workspace, 4096), CUDNN_STATUS_SUCCESS);
    c.change();
    EXPECT_EQ(Convolve(good, kAlgo, workspace, 4096), c.status) << c.what;
  }
  Prepare(good);
  EXPECT_EQ(Convolve(good, kAlgo, workspace, 16), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(Convolve(good, CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD, workspace, 4096),
            CUDNN_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(Convolve(good, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, workspace, 4096),
            CUDNN_STATUS_NOT_SUPPORTED);
  residual_.device = output_.device;  // this may be
  EXPECT_EQ(Convolve(good, kAlgo, workspace, 4096), CUDNN_STATUS_SUCCESS);
  EXPECT_FALSE(TakeProblems().empty());
}

TEST_F(CudnnTest, DescriptorsThatMakeNoSense) {
  EXPECT_EQ(cudnnSetTensor4dDescriptor(x_, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 0, 1, 1, 1),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(cudnnSetConvolution2dDescriptor(conv_, -1, 0, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION,
                                            CUDNN_DATA_FLOAT),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(cudnnSetPooling2dDescriptor(pooling_, CUDNN_POOLING_MAX, CUDNN_PROPAGATE_NAN, 2, 2, 2,
                                        0, 1, 1),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(cudnnSetStream(handle_, reinterpret_cast<cudaStream_t>(&stream_)),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(cudnnDestroyFilterDescriptor(reinterpret_cast<cudnnFilterDescriptor_t>(x_)),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_THAT(TakeProblems(), SizeIs(5));
  EXPECT_STREQ(cudnnGetErrorString(CUDNN_STATUS_BAD_PARAM), "CUDNN_STATUS_BAD_PARAM");
}

TEST_F(CudnnTest, IsCapturedAndReplayed) {
  const Case t{.format = CUDNN_TENSOR_NCHW};
  Prepare(t);
  ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
  ASSERT_EQ(Convolve(t, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, nullptr, 0),
            CUDNN_STATUS_SUCCESS);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  EXPECT_EQ(GetCounters().convolutions, 0u);
  for (int i = 0; i < 2; ++i) ASSERT_EQ(cudaGraphLaunch(exec, stream_), cudaSuccess);
  ReadBack();
  EXPECT_EQ(GetCounters().convolutions, 2u);
  EXPECT_NEAR(output_.at(1, 2, 3, 1), Sum(t, 1, 2, 3, 1), 1e-5);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
}

TEST_F(CudnnTest, CreationAllocates) {
  cudnnHandle_t handle = nullptr;
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudnnCreate(&handle), CUDNN_STATUS_NOT_INITIALIZED);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
}

}  // namespace
}  // namespace cliptag::standin
