// precision=auto on the CPU: when bytes are tried at all, what a trial decides, and what is kept of
// it.
#include "models/auto_precision.h"

#include <sys/fsuid.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "kernels/base/log.h"
#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/create_backend.h"
#include "models/io/content_hash.h"
#include "models/io/json.h"
#include "models/load_model.h"
#include "models/precision_trials.h"
#include "models/probe_pictures.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

// Sets a variable of the environment for as long as it lives.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, value.c_str(), 1);
  }
  ~ScopedVariable() {
    if (before_) {
      setenv(name_, before_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

BackendOptions OnCpu(Precision precision = Precision::kAuto) {
  return {.kind = BackendKind::kCpu, .precision = precision, .threads = 2};
}

class AutoPrecisionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SetLogCallback([this](LogLevel level, const std::string& message) {
      const std::lock_guard lock(mutex_);
      if (level <= LogLevel::kWarning) warnings_.push_back(message);
      if (level == LogLevel::kInfo && message.starts_with("Whether ")) unkept_.push_back(message);
      if (level == LogLevel::kInfo && message.starts_with("precision=auto ")) {
        lines_.push_back(message);
        trials_ += message.find("earlier start") == std::string::npos;
      }
    });
  }
  void TearDown() override {
    SetLogCallback({});
    EXPECT_TRUE(warnings_.empty()) << warnings_[0];
  }

  // A small model that bytes are right for.
  static std::string Small() { return DataDir() + "/models/openclip-avg-final-layerscale"; }

  // What auto takes for the model; its line is the last.
  Precision Take(const std::string& directory) {
    const size_t lines = lines_.size();
    const auto loaded =
        Must(LoadModel(directory, OnCpu(), [](ClipModel& model) { return model.SelfCheck(); }));
    EXPECT_EQ(lines_.size(), lines + 1);
    EXPECT_EQ(loaded.backend->info().threads, 2);
    EXPECT_EQ(&loaded.model->backend(), loaded.backend.get());
    const Precision taken = loaded.backend->info().precision;
    ExpectLine("precision=auto takes " + std::string(ToString(taken)));
    return taken;
  }
  void ExpectLine(const std::string& part) {
    ASSERT_FALSE(lines_.empty());
    EXPECT_NE(lines_.back().find(part), std::string::npos) << lines_.back();
  }

  std::string Cache() const { return cache_.path(); }
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(Cache())) {
      if (entry.path().filename() != "products") files.push_back(entry.path());
    }
    return files;
  }
  std::string OnlyFile() const {
    const auto files = Files();
    EXPECT_EQ(files.size(), 1u);
    return files.empty() ? "" : files[0];
  }
  // Replaces what the only file says of its trial.
  void Plant(double worst_cosine) {
    const std::string path = OnlyFile(), text = ReadAll(path);
    const TrialFile file{"precision", path, text.substr(text.find('\n') + 1, 64)};
    ASSERT_TRUE(ReadTrial(file).has_value());
    EXPECT_EQ(WriteTrial(file, worst_cosine).message(), "");
    EXPECT_EQ(ReadTrial(file), worst_cosine);
  }

  TempDir cache_;
  ScopedVariable variable_{"CLIPTAG_TEXT_CACHE", cache_.path()};
  std::mutex mutex_;
  std::vector<std::string> lines_, unkept_, warnings_;
  int trials_ = 0;
};

// Tests of what only a CPU that multiplies bytes does.
class TrialTest : public AutoPrecisionTest {
 protected:
  void SetUp() override {
    AutoPrecisionTest::SetUp();
    const auto backend = Must(CreateBackend(OnCpu()));
    if (backend->info().quicker != Precision::kInt8) {
      GTEST_SKIP() << "this CPU has no arithmetic for bytes";
    }
    usual_ = backend->info().precision;
  }

  Precision usual_ = Precision::kAuto;
};

// Does something to the numbers of one tensor of a safetensors file.
void EditTensor(std::string* file, const std::string& name,
                const std::function<void(char* data, size_t bytes)>& edit) {
  uint64_t length = 0;
  std::memcpy(&length, file->data(), sizeof(length));
  const Json header = Json::parse(file->substr(8, length));
  const Json& place = header.at(name).at("data_offsets");
  const size_t first = place[0], last = place[1];
  edit(file->data() + 8 + length + first, last - first);
}

// A model with a hidden unit in the first layer's MLP that is always large and that nothing listens
// to: floats do not mind, but bytes, scaled to the largest of a token, lose all the others.
void MakeOutlierModel(const TempDir& dir) {
  dir.CopyFrom(DataDir() + "/models/hf");
  std::string file = ReadAll(dir.File("model.safetensors"));
  for (const std::string layer : {"0", "1"}) {
    const std::string mlp = "vision_model.encoder.layers." + layer + ".mlp.";
    EditTensor(&file, mlp + "fc1.bias", [](char* data, size_t) {
      const float huge = 3000;
      std::memcpy(data, &huge, sizeof(huge));
    });
    EditTensor(&file, mlp + "fc2.weight", [](char* data, size_t bytes) {
      constexpr size_t kRow = 96 * sizeof(uint16_t);
      for (size_t row = 0; row < bytes; row += kRow) std::memset(data + row, 0, sizeof(uint16_t));
    });
  }
  dir.Write("model.safetensors", file);
}

// At whatever level CLIPTAG_CPU caps this process to: meson runs it at each.
TEST_F(AutoPrecisionTest, BytesAreTriedAtLevelsThatHaveThem) {
  const CpuLevel level = Must(ChooseCpuLevel());
  const Precision usual = level >= CpuLevel::kAvx512Bf16 ? Precision::kBf16 : Precision::kFp32;
  const bool tries = level >= CpuLevel::kAvx512Vnni;
  auto backend = Must(CreateBackend(OnCpu()));
  EXPECT_EQ(backend->info().instructions, ToString(level));
  EXPECT_EQ(backend->info().precision, usual);
  EXPECT_EQ(backend->info().quicker, tries ? Precision::kInt8 : Precision::kAuto);
  if (tries) {
    EXPECT_EQ(Take(Small()), Precision::kInt8);
    ExpectLine(std::string("int8 to ") + ToString(usual));
    EXPECT_NE(OnlyFile(), "");
    return;
  }
  const Backend* same = backend.get();
  EXPECT_EQ(FastestBackend(Small(), OnCpu(), std::move(backend)).get(), same);
  EXPECT_TRUE(lines_.empty()) << lines_[0];
  EXPECT_TRUE(Files().empty());
}

TEST_F(AutoPrecisionTest, APrecisionThatIsNamedIsTaken) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kInt8}) {
    const auto loaded =
        Must(LoadModel(StarterDir(), OnCpu(precision), [](ClipModel&) { return Status(); }));
    EXPECT_EQ(loaded.backend->info().precision, precision);
    EXPECT_EQ(loaded.backend->info().quicker, Precision::kAuto);
  }
  EXPECT_TRUE(lines_.empty()) << lines_[0];
  EXPECT_TRUE(Files().empty());
}

TEST_F(TrialTest, WhatOneLevelFoundIsNotBelievedByAnother) {
  if (usual_ != Precision::kBf16) GTEST_SKIP() << "this CPU has but one level with bytes";
  (void)Take(Small());
  const ScopedVariable cpu("CLIPTAG_CPU", "avx512_vnni");
  EXPECT_EQ(Take(Small()), Precision::kInt8);
  ExpectLine("int8 to fp32");
  EXPECT_EQ(trials_, 2);
  EXPECT_EQ(Files().size(), 2u);
}

TEST_F(TrialTest, TheStarterIsTriedOnceAndRunsOnBytes) {
  EXPECT_EQ(Take(StarterDir()), Precision::kInt8);
  ExpectLine("for the model starter. The worst cosine of embeddings in int8");
  const std::string text = ReadAll(OnlyFile());
  EXPECT_NE(OnlyFile().find("/starter-"), std::string::npos);
  EXPECT_EQ(Take(StarterDir()), Precision::kInt8);
  ExpectLine("At an earlier start");
  EXPECT_EQ(trials_, 1);
  EXPECT_EQ(ReadAll(OnlyFile()), text);
  EXPECT_TRUE(unkept_.empty()) << unkept_[0];
}

// Its convolutions would be as they are in the usual one.
TEST_F(TrialTest, AResNetIsNotTried) {
  EXPECT_EQ(Take(DataDir() + "/models/openclip-resnet"), usual_);
  ExpectLine("ResNet");
  EXPECT_TRUE(Files().empty());
}

TEST_F(TrialTest, AnOutlierKeepsAModelFromBytes) {
  TempDir dir;
  MakeOutlierModel(dir);
  EXPECT_EQ(Take(dir.path()), usual_);
  EXPECT_EQ(Take(dir.path()), usual_);
  ExpectLine("At an earlier start");
  EXPECT_EQ(trials_, 1);
  // It is the trial that decides: had it come out otherwise, bytes would be taken.
  Plant(kLeastCosine);
  EXPECT_EQ(Take(dir.path()), Precision::kInt8);
  Plant(0.5);
  EXPECT_EQ(Take(dir.path()), usual_);
  EXPECT_EQ(trials_, 1);
}

TEST_F(TrialTest, AnotherImageTowerIsAnotherModel) {
  TempDir dir;
  dir.CopyFrom(DataDir() + "/models/hf");
  const std::string weights = dir.File("model.safetensors");
  const auto nudge = [&](const std::string& tensor) {
    std::string file = ReadAll(weights);
    EditTensor(&file, tensor, [](char* data, size_t) { data[0] ^= 1; });
    dir.Write("model.safetensors", file);
    (void)Take(dir.path());
  };
  (void)Take(dir.path());
  nudge("vision_model.encoder.layers.1.mlp.fc2.bias");
  EXPECT_EQ(trials_, 2);
  nudge("text_model.encoder.layers.1.mlp.fc2.bias");  // never in bytes
  EXPECT_EQ(trials_, 2);
  nudge("visual_projection.weight");
  EXPECT_EQ(trials_, 3);
  EXPECT_EQ(Files().size(), 3u);
}

TEST_F(TrialTest, ADamagedFileIsTriedAnewAndReplaced) {
  (void)Take(Small());
  const std::string path = OnlyFile(), text = ReadAll(path);
  const std::string identity = text.substr(text.find('\n') + 1, 64);
  const TrialFile file{"precision", path, identity};
  const auto write = [&](const std::string& content) {
    cache_.Write(fs::path(path).filename().string(), content);
  };
  ASSERT_TRUE(ReadTrial(file).has_value());
  EXPECT_FALSE(ReadTrial({path, std::string(64, '0')}).has_value());  // somebody else's
  for (size_t size = 0; size < text.size(); ++size) {
    write(text.substr(0, size));
    ASSERT_FALSE(ReadTrial(file).has_value()) << size;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char flip : {1, 2, 4, 16, 64}) {
      std::string damaged = text;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      write(damaged);
      ASSERT_FALSE(ReadTrial(file).has_value()) << i;
    }
  }
  int trials = 1;
  for (const std::string& content :
       {std::string(), std::string("nonsense"), text.substr(0, 60), text + "more",
        std::string(1 << 20, 'x'),
        "cliptag precision 1\n" + identity + " 999999999\n" + identity}) {
    write(content);
    EXPECT_EQ(Take(Small()), Precision::kInt8);
    EXPECT_EQ(trials_, ++trials);
    EXPECT_EQ(ReadAll(OnlyFile()), text);
  }
  EXPECT_TRUE(unkept_.empty()) << unkept_[0];
}

TEST_F(TrialTest, WithoutACacheEveryStartTries) {
  const ScopedVariable off("CLIPTAG_TEXT_CACHE", "");
  EXPECT_EQ(Take(Small()), Precision::kInt8);
  EXPECT_EQ(Take(Small()), Precision::kInt8);
  EXPECT_EQ(trials_, 2);
  EXPECT_TRUE(Files().empty());
  EXPECT_TRUE(unkept_.empty()) << unkept_[0];
}

TEST_F(TrialTest, ACacheThatCannotBeWrittenIsToldAndDoneWithout) {
  cache_.Write("file", "");
  for (const std::string& directory :
       {std::string("/proc/cliptag"), cache_.File("file"), cache_.File("file/below")}) {
    SCOPED_TRACE(directory);
    const ScopedVariable there("CLIPTAG_TEXT_CACHE", directory);
    unkept_.clear();
    trials_ = 0;
    for (int start = 1; start <= 2; ++start) {
      EXPECT_EQ(Take(Small()), Precision::kInt8);
      EXPECT_EQ(trials_, start);
      ASSERT_EQ(unkept_.size(), static_cast<size_t>(start));
      EXPECT_NE(unkept_.back().find(directory + "/openclip-avg-final-layerscale-"),
                std::string::npos)
          << unkept_.back();
    }
  }
  EXPECT_EQ(fs::path(OnlyFile()).filename(), "file");
}

TEST_F(TrialTest, AFolderInTheFilesPlace) {
  (void)Take(Small());
  const std::string path = OnlyFile();
  fs::remove(path);
  fs::create_directories(path + "/inside");
  EXPECT_EQ(Take(Small()), Precision::kInt8);
  EXPECT_EQ(unkept_.size(), 1u);
  EXPECT_EQ(OnlyFile(), path);  // nothing temporary stays
}

TEST_F(TrialTest, DamagedWeightsAreForTheLoaderToReport) {
  TempDir dir;
  dir.CopyFrom(DataDir() + "/models/hf");
  std::string file = ReadAll(dir.File("model.safetensors"));
  EditTensor(&file, "visual_projection.weight",
             [](char* data, size_t bytes) { std::memset(data, 0xff, bytes); });  // NaN
  dir.Write("model.safetensors", file);
  const auto load = [&](const std::string& directory) {
    return LoadModel(directory, OnCpu(), [](ClipModel& model) { return model.SelfCheck(); })
        .status();
  };
  ExpectError(load(dir.path()), StatusCode::kDataLoss, {"pictures", "NaN"});
  ExpectLine(std::string("takes ") + ToString(usual_) + ": int8 cannot be tried");
  ExpectError(load(dir.File("none")), StatusCode::kNotFound, {"none"});
  ExpectLine("none");
  EXPECT_TRUE(Files().empty());
}

TEST_F(TrialTest, ThreadsThatStartAtOnceAgree) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int start = 0; start < 3; ++start) {
        auto usual = Must(CreateBackend(OnCpu()));
        const auto backend = FastestBackend(Small(), OnCpu(), std::move(usual));
        EXPECT_EQ(backend->info().precision, Precision::kInt8);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(trials_, 1);
  EXPECT_LE(trials_, 4);  // a thread's own is known to it from its second start on
  EXPECT_NE(OnlyFile(), "");
  EXPECT_TRUE(unkept_.empty()) << unkept_[0];
}

TEST_F(AutoPrecisionTest, ProcessesThatWriteAtOnceLeaveAWholeFile) {
  const TrialFile file{"precision", cache_.File("m.precision"), std::string(32, 'a')};
  ASSERT_EQ(WriteTrial(file, 0.25).message(), "");
  std::vector<pid_t> children;
  for (int child = 0; child < 3; ++child) {
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      bool good = true;
      for (int i = 0; i < 300; ++i) {
        good = WriteTrial(file, child / 4.0).ok() && ReadTrial(file).has_value() && good;
      }
      _exit(good ? 0 : 1);
    }
    children.push_back(pid);
  }
  for (int i = 0; i < 300; ++i) EXPECT_TRUE(ReadTrial(file).has_value());
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  EXPECT_EQ(OnlyFile(), file.path);
}

TEST_F(AutoPrecisionTest, AReadOnlyCacheIsReadAndNotWritten) {
  const TrialFile old{"precision", cache_.File("m.precision"), std::string(32, 'a')};
  const TrialFile fresh{"precision", cache_.File("n.precision"), std::string(32, 'b')};
  ASSERT_EQ(WriteTrial(old, 0.25).message(), "");
  fs::permissions(old.path, fs::perms(0444));
  fs::permissions(Cache(), fs::perms(0555));
  // Nothing is read-only to root, so root is nobody for a moment.
  constexpr uid_t kNobody = 65534;
  if (geteuid() == 0) setfsuid(kNobody);
  EXPECT_EQ(ReadTrial(old), 0.25);
  ExpectError(WriteTrial(old, 0.5), StatusCode::kNotFound, {old.path, "denied"});
  ExpectError(WriteTrial(fresh, 0.5), StatusCode::kNotFound, {fresh.path, "denied"});
  EXPECT_EQ(ReadTrial(old), 0.25);
  setfsuid(geteuid());
  fs::permissions(Cache(), fs::perms::owner_all);
  EXPECT_EQ(OnlyFile(), old.path);
}

TEST(PrecisionTrials, LieWhereTheVariablesSay) {
  TempDir dir;
  const std::string identity(32, 'a');
  const ScopedVariable xdg("XDG_CACHE_HOME", dir.path());
  const ScopedVariable texts("CLIPTAG_TEXT_CACHE", dir.File("own"));
  EXPECT_EQ(FindTrialFile("../x y", identity).path, dir.File("own/___x_y-aaaaaaaaaaaa.precision"));
  setenv("CLIPTAG_TEXT_CACHE", "", 1);
  const TrialFile none = FindTrialFile("m", identity);
  EXPECT_EQ(none.path, "");
  EXPECT_EQ(WriteTrial(none, 1).message(), "");
  EXPECT_FALSE(ReadTrial(none).has_value());
  unsetenv("CLIPTAG_TEXT_CACHE");
  const TrialFile file = FindTrialFile("m", identity);
  EXPECT_EQ(file.path, dir.File("cliptag/precision/m-aaaaaaaaaaaa.precision"));
  for (const double worst : {1.0, 0.999871234, 0.0, -0.5}) {
    EXPECT_EQ(WriteTrial(file, worst).message(), "");
    EXPECT_EQ(ReadTrial(file), worst);
  }
}

TEST(TestPictures, DifferAndAreTheSameEverywhere) {
  for (const int size : {1, 3, 32, 112, 336}) {
    for (int i = 0; i < kTestPictures; ++i) {
      ASSERT_EQ(TestPicture(i, size).size(), static_cast<size_t>(size) * size * 3);
    }
  }
  ContentHash hash;
  std::vector<std::vector<uint8_t>> pictures;
  int dark = 0, bright = 0, flat = 0;
  for (int i = 0; i < kTestPictures; ++i) {
    pictures.push_back(TestPicture(i, 112));
    const std::vector<uint8_t>& pixels = pictures.back();
    hash.AddBytes(pixels.data(), pixels.size());
    double sum = 0;
    for (const uint8_t value : pixels) sum += value;
    const double mean = sum / static_cast<double>(pixels.size());
    dark += mean < 30;
    bright += mean > 190;
    flat += std::equal(pixels.begin() + 3, pixels.end(), pixels.begin());
    for (int other = 0; other < i; ++other) EXPECT_NE(pictures[other], pixels) << other << " " << i;
  }
  EXPECT_GE(dark, 2);
  EXPECT_GE(bright, 2);
  EXPECT_EQ(flat, 3);
  EXPECT_EQ(hash.Hex(), "b4e18f22c1e8bc5eebc52b18a21f086cd4a50e0ae9f4aaa34a9e51f10424bbdf");
}

}  // namespace
}  // namespace cliptag
