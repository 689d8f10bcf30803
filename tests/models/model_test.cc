#include "tests/models/model_test.h"

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "models/text/piece_model.h"

namespace cliptag {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set; run meson test");
  return value;
}

}  // namespace

std::string DataDir() { return Environment("CLIPTAG_DATA"); }
std::string StarterDir() { return Environment("CLIPTAG_SOURCE_ROOT") + "/models/starter"; }

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "cliptag-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
  path_ = pattern;
}
TempDir::~TempDir() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}
void TempDir::Write(const std::string& name, std::string_view content) const {
  std::ofstream out(File(name), std::ios::binary);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!out) throw std::runtime_error("cannot write " + File(name));
}
void TempDir::CopyFrom(const std::string& directory) const {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.is_regular_file()) {
      std::filesystem::copy_file(entry.path(), File(entry.path().filename().string()));
    }
  }
}

bool HasSentencePiece() {
  return OpenSentencePiece("", "").status().code() != StatusCode::kUnsupported;
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  std::stringstream content;
  content << in.rdbuf();
  return content.str();
}

std::string Safetensors(const std::string& header, size_t data_bytes) {
  std::string out(8, '\0');
  const uint64_t length = header.size();
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(length >> (8 * i));
  return out + header + std::string(data_bytes, '\0');
}

Json SafetensorsHeader(const std::string& file) {
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  return Json::parse(file.substr(8, length));
}

std::string WithSafetensorsHeader(const std::string& file, const Json& header,
                                  const std::string& more_data) {
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  const std::string text = header.dump();
  const uint64_t size = text.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &size, 8);
  return out + text + file.substr(8 + length) + more_data;
}

void ExpectError(const Status& status, StatusCode code, const std::vector<std::string>& named) {
  ASSERT_FALSE(status.ok()) << "expected an error that names "
                            << (named.empty() ? "something" : named[0]);
  EXPECT_EQ(static_cast<int>(status.code()), static_cast<int>(code)) << status.message();
  for (const std::string& name : named) {
    EXPECT_NE(status.message().find(name), std::string::npos)
        << "'" << name << "' is not in: " << status.message();
  }
  EXPECT_EQ(status.message().back(), '.') << status.message();
}

Rows ReadNpy(const std::string& path) {
  const std::string content = ReadAll(path);
  uint16_t header_bytes;
  std::memcpy(&header_bytes, content.data() + 8, 2);
  const std::string header = content.substr(10, header_bytes);
  if (header.find("'<f4'") == std::string::npos || header.find("True") != std::string::npos) {
    throw std::runtime_error(path + " is not float32 in C order");
  }
  Rows out;
  if (std::sscanf(header.c_str() + header.find("'shape':"), "'shape': (%ld, %ld)", &out.rows,
                  &out.cols) != 2) {
    throw std::runtime_error(path + " is not a matrix");
  }
  out.data.resize(static_cast<size_t>(out.rows * out.cols));
  std::memcpy(out.data.data(), content.data() + 10 + header_bytes, out.data.size() * 4);
  return out;
}

double Cosine(const float* a, const float* b, int64_t n) {
  double ab = 0, aa = 0, bb = 0;
  for (int64_t i = 0; i < n; ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

}  // namespace cliptag
