// The CUDA backend as users meet it: the module opened at run time over the stand-in for CUDA,
// chosen or not by backend=auto, with models on it.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kernels/base/log.h"
#include "kernels/create_backend.h"
#include "kernels/cuda_module.h"
#include "models/load_model.h"
#include "plugin/engine/engine.h"

namespace cliptag {
namespace {

using testing::HasSubstr;

const std::string& ModulePath() {
  static const std::string path = std::getenv("CLIPTAG_CUDA_MODULE");
  return path;
}

void Configure(const char* settings) {
  void* module = dlopen(ModulePath().c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(module, nullptr) << dlerror();
  const auto configure =
      reinterpret_cast<int (*)(const char*)>(dlsym(module, "cliptag_standin_configure"));
  ASSERT_NE(configure, nullptr);
  ASSERT_EQ(configure(settings), 0) << settings;
}

class ModuleTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("CLIPTAG_CUDA_MODULE", ModulePath().c_str(), 1);
    Configure("");
    SetLogCallback([this](LogLevel level, const std::string& message) {
      if (level <= LogLevel::kInfo) said_ += message + "\n";
    });
  }
  void TearDown() override {
    SetLogCallback({});
    Configure("");
  }
  static std::string TinyModel() {
    return std::string(std::getenv("CLIPTAG_DATA")) + "/models/openclip";
  }
  std::string said_;
};

TEST_F(ModuleTest, OpensWhatItIsToldTo) {
  EXPECT_TRUE(HasCudaModule());
  const auto backend = CreateBackend({.kind = BackendKind::kCuda});
  ASSERT_TRUE(backend.ok()) << backend.status().message();
  EXPECT_EQ((*backend)->info().kind, BackendKind::kCuda);
  EXPECT_EQ((*backend)->info().precision, Precision::kFp16);
}

TEST_F(ModuleTest, AModuleThatCannotBeLoaded) {
  setenv("CLIPTAG_CUDA_MODULE", "/no/such/module.so", 1);
  const Status missing = CreateBackend({.kind = BackendKind::kCuda}).status();
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("/no/such/module.so"));
  setenv("CLIPTAG_CUDA_MODULE", "libm.so.6", 1);
  const Status other = CreateBackend({.kind = BackendKind::kCuda}).status();
  EXPECT_EQ(other.code(), StatusCode::kUnsupported);
  EXPECT_THAT(other.message(), HasSubstr("belongs to another version of cliptag"));
}

TEST_F(ModuleTest, AutoTakesTheGpuOrTheCpu) {
  EXPECT_EQ((*CreateBackend({}))->info().kind, BackendKind::kCuda);
  EXPECT_EQ((*CreateBackend({.precision = Precision::kFp32}))->info().kind, BackendKind::kCpu);
  Configure("devices=0");
  const auto backend = CreateBackend({});
  ASSERT_TRUE(backend.ok());
  EXPECT_EQ((*backend)->info().kind, BackendKind::kCpu);
  EXPECT_THAT(said_, HasSubstr("backend=auto takes the CPU: This machine has no NVIDIA GPU"));
  said_.clear();
  EXPECT_TRUE(CreateBackend({}).ok());
  EXPECT_EQ(said_, "") << "said once";
  EXPECT_EQ(CreateBackend({.kind = BackendKind::kCuda}).status().code(), StatusCode::kNotFound);
}

// Sizes a batch, as the engine does.
constexpr auto Prepare = [](ClipModel& model) -> Status {
  CLIPTAG_RETURN_IF_ERROR(model.image().Setup(2));
  return model.SelfCheck();
};

TEST_F(ModuleTest, LoadsAModel) {
  const auto loaded = LoadModel(TinyModel(), {.kind = BackendKind::kCuda}, Prepare);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->backend->info().kind, BackendKind::kCuda);
}

TEST_F(ModuleTest, AModelThatDoesNotFitGoesToTheCpu) {
  Configure("memory_mb=32");  // the library's workspace, and nothing else
  const auto loaded = LoadModel(TinyModel(), {}, Prepare);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->backend->info().kind, BackendKind::kCpu);
  EXPECT_THAT(said_, HasSubstr("The CPU is used instead of the GPU."));
  EXPECT_THAT(said_, HasSubstr("MiB"));
  const Status told = LoadModel(TinyModel(), {.kind = BackendKind::kCuda}, Prepare).status();
  EXPECT_EQ(told.code(), StatusCode::kResourceExhausted) << told.message();
}

// A tower that the GPU cannot run is known from the configuration, before any weights are read.
TEST_F(ModuleTest, WhatTheGpuDoesNotSupportNeedsNoWeights) {
  const std::string directory = std::string(std::getenv("CLIPTAG_DATA")) + "/models/mobileclip-s";
  const std::string bare = testing::TempDir() + "/bare-mobileclip";
  std::filesystem::create_directories(bare);
  std::filesystem::copy_file(directory + "/open_clip_config.json", bare + "/open_clip_config.json",
                             std::filesystem::copy_options::overwrite_existing);
  const Status status = LoadModel(bare, {.kind = BackendKind::kCuda}, Prepare).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported) << status.message();
  EXPECT_THAT(status.message(), HasSubstr("use backend=cpu"));
  const auto loaded = LoadModel(directory, {}, Prepare);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->backend->info().kind, BackendKind::kCpu);
  EXPECT_THAT(said_, HasSubstr("The CPU is used instead of the GPU."));
}

// Many frames of two streams: batches follow one another while the device computes, answers come in
// order, and are what the CPU gives.
TEST_F(ModuleTest, AnEngineAnswersInOrder) {
  constexpr int kFrames = 24;
  std::vector<std::vector<uint8_t>> pixels;
  for (int i = 0; i < kFrames; ++i) {
    std::vector<uint8_t>& picture = pixels.emplace_back(40 * 40 * 3);
    for (size_t at = 0; at < picture.size(); ++at) {
      picture[at] = static_cast<uint8_t>(at * static_cast<size_t>(i + 3) / 7 + i * 40);
    }
  }
  const auto run = [&](BackendKind kind) {
    EngineOptions options;
    options.model = TinyModel();
    options.backend.kind = kind;
    options.max_batch = 3;
    auto engine = Engine::Create(options);
    EXPECT_TRUE(engine.ok()) << engine.status().message();
    std::vector<std::vector<float>> rows(kFrames);
    std::vector<uint64_t> order[2];
    std::mutex mutex;
    {
      const auto one = (*engine)->OpenStream(), two = (*engine)->OpenStream();
      for (int i = 0; i < kFrames; ++i) {
        InferenceRequest request;
        request.frame = RgbView(pixels[i].data(), 120, 40, 40, RgbOrder::kRgb);
        request.frame_number = static_cast<uint64_t>(i);
        request.done = [&, i](InferenceResult result) {
          const std::lock_guard lock(mutex);
          EXPECT_TRUE(result.status.ok()) << result.status.message();
          order[i % 2].push_back(result.frame_number);
          rows[i] = std::move(result.embedding);
        };
        EXPECT_TRUE((i % 2 == 0 ? one : two)->Submit(std::move(request)).ok());
      }
      one->Hurry();
      two->Hurry();
      for (const auto& stream : {one.get(), two.get()}) {
        while (stream->stats().inferred < kFrames / 2) std::this_thread::yield();
      }
    }
    for (const std::vector<uint64_t>& frames : order) {
      EXPECT_EQ(frames.size(), size_t{kFrames / 2});
      EXPECT_TRUE(std::is_sorted(frames.begin(), frames.end()));
    }
    return rows;
  };
  const auto cuda = run(BackendKind::kCuda), cpu = run(BackendKind::kCpu);
  for (int i = 0; i < kFrames; ++i) {
    ASSERT_EQ(cuda[i].size(), cpu[i].size());
    double cosine = 0;
    for (size_t d = 0; d < cpu[i].size(); ++d) cosine += double{cuda[i][d]} * cpu[i][d];
    EXPECT_GT(cosine, 0.99) << "frame " << i;
  }
}

}  // namespace
}  // namespace cliptag
