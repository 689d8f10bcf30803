// The CUDA backend as users meet it: the module opened at run time over the stand-in for CUDA,
// chosen or not by backend=auto, with models on it.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/base/log.h"
#include "kernels/cuda_module.h"
#include "models/load_model.h"

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
  EXPECT_EQ((*backend)->info().name, "cuda");
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
  EXPECT_THAT(other.message(), HasSubstr("not of this version of cliptag"));
}

TEST_F(ModuleTest, AutoTakesTheGpuOrTheCpu) {
  EXPECT_EQ((*CreateBackend({}))->info().name, "cuda");
  EXPECT_EQ((*CreateBackend({.precision = Precision::kFp32}))->info().name, "cpu");
  Configure("devices=0");
  const auto backend = CreateBackend({});
  ASSERT_TRUE(backend.ok());
  EXPECT_EQ((*backend)->info().name, "cpu");
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
  EXPECT_EQ(loaded->backend->info().name, "cuda");
}

TEST_F(ModuleTest, AModelThatDoesNotFitGoesToTheCpu) {
  Configure("memory_mb=32");  // the library's workspace, and nothing else
  const auto loaded = LoadModel(TinyModel(), {}, Prepare);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->backend->info().name, "cpu");
  EXPECT_THAT(said_, HasSubstr("The CPU is used instead of the GPU."));
  EXPECT_THAT(said_, HasSubstr("MiB"));
  const Status told = LoadModel(TinyModel(), {.kind = BackendKind::kCuda}, Prepare).status();
  EXPECT_EQ(told.code(), StatusCode::kResourceExhausted) << told.message();
}

}  // namespace
}  // namespace cliptag
