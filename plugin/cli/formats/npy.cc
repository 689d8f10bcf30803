#include "plugin/cli/formats/npy.h"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <vector>

#include "kernels/base/replace_file.h"

namespace cliptag {
namespace {

constexpr size_t kHeaderBytes =
    128;  // a multiple of 64, as the format asks, with room for any shape

constexpr std::string_view kStandardOutput = "-";

}  // namespace

std::string NpyHeader(int64_t rows, int64_t cols) {
  const char* order = std::endian::native == std::endian::little ? "<f4" : ">f4";
  std::string text = std::string("{'descr': '") + order + "', 'fortran_order': False, 'shape': (" +
                     std::to_string(rows) + ", " + std::to_string(cols) + "), }";
  constexpr size_t kPreamble = 10;  // magic, version, two bytes of length
  text.resize(kHeaderBytes - kPreamble - 1, ' ');
  text.push_back('\n');
  std::string header("\x93NUMPY\x01\x00", 8);
  header.push_back(static_cast<char>(text.size() & 0xff));
  header.push_back(static_cast<char>(text.size() >> 8));
  return header + text;
}

Result<std::unique_ptr<NpyWriter>> NpyWriter::Create(const std::string& path) {
  std::unique_ptr<NpyWriter> writer(new NpyWriter);
  writer->path_ = writer->target_ = path;

  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (path != kStandardOutput && std::filesystem::is_directory(status)) {
    return InvalidArgument("cannot write '" + path + "': it is a directory, name a file");
  }
  if (path == kStandardOutput) {
    writer->regular_ = false;
  } else if (std::filesystem::exists(status)) {
    writer->regular_ = std::filesystem::is_regular_file(status);
    const auto followed = std::filesystem::canonical(path, error);
    if (!error) writer->target_ = followed.string();
  }
  if (!writer->regular_) {
    writer->file_ = std::tmpfile();
  } else if (std::filesystem::exists(status) && access(path.c_str(), W_OK) != 0) {
    return InvalidArgument("cannot write '" + path + "': " + std::strerror(errno));
  } else {
    // Named first, so that a signal at any moment after that finds it.
    writer->temporary_ = PartOf(writer->target_);
    writer->unfinished_ = std::make_unique<UnfinishedFile>(writer->temporary_);
    const int fd = CreatePart(writer->temporary_);
    if (fd >= 0) {
      writer->file_ = fdopen(fd, "w+b");
      if (!writer->file_) close(fd);
    } else {
      writer->temporary_.clear();
    }
  }
  if (!writer->file_) {
    return InvalidArgument("cannot write '" + path + "': " + std::strerror(errno));
  }
  const std::string header = NpyHeader(0, 0);
  if (std::fwrite(header.data(), 1, header.size(), writer->file_) != header.size()) {
    return writer->WriteFailed();
  }
  return writer;
}

NpyWriter::~NpyWriter() {
  if (file_) std::fclose(file_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

Status NpyWriter::WriteFailed() const {
  return ResourceExhausted("cannot write '" + path_ + "': " + std::strerror(errno) +
                           " (no file was left)");
}

Status NpyWriter::Append(std::span<const float> row) {
  if (rows_ == 0) cols_ = static_cast<int64_t>(row.size());
  if (static_cast<int64_t>(row.size()) != cols_) {
    return Internal("a row of " + std::to_string(row.size()) + " numbers for '" + path_ +
                    "', not " + std::to_string(cols_));
  }
  if (std::fwrite(row.data(), sizeof(float), row.size(), file_) != row.size()) return WriteFailed();
  ++rows_;
  return {};
}

Status NpyWriter::Finish() {
  const std::string header = NpyHeader(rows_, cols_);
  if (std::fseek(file_, 0, SEEK_SET) != 0 ||
      std::fwrite(header.data(), 1, header.size(), file_) != header.size() ||
      std::fflush(file_) != 0) {
    return WriteFailed();
  }
  if (!regular_) return CopyToOutput();
  if (SyncFile(fileno(file_)) != 0) return WriteFailed();
  if (std::fclose(std::exchange(file_, nullptr)) != 0) return WriteFailed();
  if (rename(temporary_.c_str(), target_.c_str()) != 0) return WriteFailed();
  temporary_.clear();
  return {};
}

Status NpyWriter::CopyToOutput() {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(
      path_ == kStandardOutput ? fdopen(dup(STDOUT_FILENO), "wb") : std::fopen(path_.c_str(), "wb"),
      std::fclose);
  if (!out) return WriteFailed();
  std::rewind(file_);
  std::vector<char> chunk(1 << 16);
  while (const size_t n = std::fread(chunk.data(), 1, chunk.size(), file_)) {
    if (std::fwrite(chunk.data(), 1, n, out.get()) != n) return WriteFailed();
  }
  if (std::ferror(file_) || std::fclose(out.release()) != 0) return WriteFailed();
  return {};
}

}  // namespace cliptag
