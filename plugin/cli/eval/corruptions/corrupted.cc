#include "plugin/cli/eval/corruptions/corrupted.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <system_error>
#include <thread>

#include "plugin/cli/bench/measure.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/eval/corruptions/corruptions.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

// The pixels of a decoded picture: BGR, as OpenCV's reader gives them. Not copied.
cv::Mat BgrOf(const FrameView& view) {
  const Component& blue = view.component[2];
  return cv::Mat(view.height, view.width, CV_8UC3, const_cast<uint8_t*>(blue.data),
                 static_cast<size_t>(blue.row_stride));
}

const CorruptionKind& KindOf(int version) { return CorruptionKinds()[version / kStrengths]; }
int StrengthOf(int version) { return version % kStrengths + 1; }

// A picture's path within its dataset, so that neither where that lies nor how it was written
// decides what is by chance.
std::string NameIn(const std::string& dataset, const std::string& file) {
  return fs::path(file).lexically_relative(dataset).generic_string();
}

std::string TimeLeft(double passed_ms, size_t done, size_t all) {
  const double left_s = passed_ms / 1000 * static_cast<double>(all - done) / done;
  char text[32];
  std::snprintf(text, sizeof(text), "%d:%02d left", static_cast<int>(left_s) / 60,
                static_cast<int>(left_s) % 60);
  return text;
}

// Makes every version of a picture, shared out over threads. OpenCV reports errors by exceptions.
Status MakeVersions(const cv::Mat& picture, uint64_t seed, const std::string& name, int threads,
                    std::vector<cv::Mat>* versions) {
  const int count = static_cast<int>(versions->size());
  std::vector<std::string> errors(static_cast<size_t>(threads));
  const auto work = [&](int thread) {
    try {
      for (int v = thread; v < count; v += threads) {
        const Corruption kind = KindOf(v).kind;
        (*versions)[static_cast<size_t>(v)] =
            Corrupt(picture, kind, StrengthOf(v), SeedOf(seed, name, kind, StrengthOf(v)));
      }
    } catch (const std::exception& e) {
      errors[static_cast<size_t>(thread)] = e.what();
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work, t);
  work(0);
  for (std::thread& other : others) other.join();
  for (const std::string& error : errors) {
    if (!error.empty()) return Internal("cannot make the picture '" + name + "' worse: " + error);
  }
  return {};
}

}  // namespace

CorruptedPictures::CorruptedPictures(ClipModel& model, const EvalOptions& options, size_t pictures)
    : model_(model), options_(options), pictures_(pictures), begin_ms_(NowMs()) {}

int CorruptedPictures::versions() const {
  return static_cast<int>(CorruptionKinds().size()) * kStrengths;
}

std::span<const float> CorruptedPictures::embedding(int version) const {
  const size_t dim = static_cast<size_t>(model_.config().embed_dim);
  return std::span(embeddings_).subspan(static_cast<size_t>(version) * dim, dim);
}

Status CorruptedPictures::Encode(const EncodedFrame& frame) {
  const std::string name = NameIn(options_.dataset, frame.file);
  const cv::Mat picture = WorkingSize(BgrOf(frame.view), model_.config().preprocess.size);
  std::vector<cv::Mat> pictures(static_cast<size_t>(versions()));
  const int threads = std::clamp(model_.backend().info().threads, 1, versions());
  CLIPTAG_RETURN_IF_ERROR(MakeVersions(picture, options_.seed, name, threads, &pictures));
  std::vector<FrameView> views;
  for (int version = 0; version < versions(); ++version) {
    const cv::Mat& one = pictures[static_cast<size_t>(version)];
    views.push_back(
        RgbView(one.data, static_cast<ptrdiff_t>(one.step[0]), one.cols, one.rows, RgbOrder::kBgr));
    if (!options_.dump_corruptions.empty()) CLIPTAG_RETURN_IF_ERROR(Dump(name, version, one));
  }
  embeddings_.resize(views.size() * static_cast<size_t>(model_.config().embed_dim));
  CLIPTAG_RETURN_IF_ERROR(
      model_.image().Encode(views, model_.config().preprocess, embeddings_.data()));
  ++done_;
  progress_.Show("picture " + std::to_string(done_) + " of " + std::to_string(pictures_) +
                 ", each as it is and in " + std::to_string(versions()) + " corruptions, " +
                 TimeLeft(NowMs() - begin_ms_, done_, pictures_));
  return {};
}

Status CorruptedPictures::Dump(const std::string& name, int version, const cv::Mat& picture) const {
  std::string folder = KindOf(version).name;
  std::replace(folder.begin(), folder.end(), ' ', '-');
  const fs::path path = fs::path(options_.dump_corruptions) /
                        (folder + "-" + std::to_string(StrengthOf(version))) / (name + ".png");
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) {
    return NotFound("cannot make the folder '" + path.parent_path().string() +
                    "': " + error.message());
  }
  try {
    if (cv::imwrite(path.string(), picture)) return {};
  } catch (const cv::Exception&) {
  }
  return NotFound("cannot write '" + path.string() + "'");
}

}  // namespace cliptag
