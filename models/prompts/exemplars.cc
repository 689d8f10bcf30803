#include "models/prompts/exemplars.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "models/probe_pictures.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

constexpr int kShorterSide = 512;         // see PictureFrom
constexpr size_t kMostPictures = 2000;    // of all tags
constexpr double kLeastHalfWidth = 0.02;  // of h, a cosine
constexpr int kUnrelatedSize = 96;        // pixels, square
// Built-in pictures that show nothing to tag. Embeddings of photographs lie near each other and far
// from those of patterns and drawings, so there are both kinds: a frame must be nearer to a tag's
// pictures than others of its kind are.
constexpr int kUnrelated[][6] = {{0, 2, 7, 10, 18, 20},     // rings, stripes, noise, discs, …
                                 {8, 11, 12, 13, 16, 21}};  // landscape, clouds, fog, …
constexpr double kLogitOfLevel = 3;                         // of p, and minus that of u

std::string Naming(const std::string& image, const TagSpec& tag) {
  return "The exemplar picture '" + image + "' of the tag '" + tag.label + "'";
}

bool IsPictureName(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  constexpr std::array<std::string_view, 5> kKnown = {".jpg", ".jpeg", ".png", ".webp", ".bmp"};
  return std::find(kKnown.begin(), kKnown.end(), extension) != kKnown.end();
}

// The pictures in a folder, sorted by name.
Result<std::vector<std::string>> PicturesIn(const fs::path& folder, const std::string& image,
                                            const TagSpec& tag) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const bool hidden = it->path().filename().string().front() == '.';
    if (!hidden && IsPictureName(it->path()) && !it->is_directory(ignored)) {
      files.push_back(it->path().string());
    }
  }
  if (error) return NotFound(Naming(image, tag) + " cannot be read: " + error.message() + ".");
  if (files.empty()) {
    return NotFound("The folder '" + image + "' of the tag '" + tag.label +
                    "' holds no picture: put jpg, jpeg, png, webp or bmp files into it.");
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The embeddings of some pictures and their sum.
class Group {
 public:
  Group(const float* rows, int count, int dim)
      : rows_(rows), count_(count), dim_(dim), sum_(static_cast<size_t>(dim)) {
    for (int k = 0; k < count; ++k) Add(k, 1, &sum_);
  }

  int count() const { return count_; }

  // The unit mean of all of them but `without` (-1: of all); empty if they cancel out.
  std::vector<double> Mean(int without) const {
    std::vector<double> mean = sum_;
    if (without >= 0) Add(without, -1, &mean);
    double squares = 0;
    for (double x : mean) squares += x * x;
    const double length = std::sqrt(squares);
    if (!(length > 1e-6)) return {};
    for (double& x : mean) x /= length;
    return mean;
  }

  // The mean cosine of the pictures with `direction`.
  double Level(const std::vector<double>& direction) const {
    double sum = 0;
    for (int i = 0; i < dim_; ++i) sum += sum_[i] * direction[i];
    return sum / count_;
  }

  // Below which three quarters of the pictures' cosines with `direction` lie.
  double UpperQuartile(const std::vector<double>& direction) const {
    std::vector<double> cosines(static_cast<size_t>(count_));
    for (int k = 0; k < count_; ++k) {
      for (int i = 0; i < dim_; ++i) {
        cosines[k] += direction[i] * rows_[static_cast<size_t>(k) * dim_ + i];
      }
    }
    const auto at = cosines.begin() + 3 * count_ / 4;
    std::nth_element(cosines.begin(), at, cosines.end());
    return *at;
  }

  // The mean cosine of a picture with the unit mean of the others. Two at least.
  double LeaveOneOut() const {
    double sum = 0;
    for (int k = 0; k < count_; ++k) {
      const std::vector<double> others = Mean(k);
      for (size_t i = 0; i < others.size(); ++i) {
        sum += others[i] * rows_[static_cast<size_t>(k) * dim_ + i];
      }
    }
    return sum / count_;
  }

 private:
  void Add(int k, double factor, std::vector<double>* to) const {
    const float* row = rows_ + static_cast<size_t>(k) * dim_;
    for (int i = 0; i < dim_; ++i) (*to)[i] += factor * row[i];
  }

  const float* const rows_;
  const int count_, dim_;
  std::vector<double> sum_;
};

// Of the tag whose pictures are groups[own]. From `tags` on, groups are the built-in ones.
Result<Prototype> BuildPrototype(const TagSpec& tag, const std::vector<Group>& groups, size_t own,
                                 size_t tags, int dim) {
  const std::vector<double> direction = groups[own].Mean(-1);
  if (direction.empty()) {
    return InvalidArgument("The exemplar pictures of the tag '" + tag.label +
                           "' have nothing in common: their embeddings cancel out.");
  }
  double unrelated = -1;
  for (size_t g = 0; g < groups.size(); ++g) {
    if (g == own) continue;
    const double level = g < tags ? groups[g].Level(direction) : groups[g].UpperQuartile(direction);
    unrelated = std::max(unrelated, level);
  }
  const double positive = groups[own].count() > 1 ? groups[own].LeaveOneOut() : (1 + unrelated) / 2;
  const double half = std::max((positive - unrelated) / 2, kLeastHalfWidth);
  Prototype prototype;
  prototype.row.resize(static_cast<size_t>(dim));
  for (int i = 0; i < dim; ++i) prototype.row[i] = static_cast<float>(direction[i]);
  prototype.midpoint = positive - half;
  prototype.scale = kLogitOfLevel / half;
  return prototype;
}

}  // namespace

ExemplarPicture PictureFrom(const FrameView& view) {
  const int factor = std::max(1, std::min(view.width, view.height) / kShorterSide);
  ExemplarPicture picture;
  picture.width = view.width / factor;
  picture.height = view.height / factor;
  picture.rgb.resize(size_t{3} * picture.width * picture.height);
  uint8_t* out = picture.rgb.data();
  const int area = factor * factor;
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      for (const Component& component : view.component) {
        int sum = area / 2;
        for (int dy = 0; dy < factor; ++dy) {
          const uint8_t* row = component.data + (ptrdiff_t{y} * factor + dy) * component.row_stride;
          for (int dx = 0; dx < factor; ++dx) {
            sum += row[(ptrdiff_t{x} * factor + dx) * component.pixel_stride];
          }
        }
        *out++ = static_cast<uint8_t>(sum / area);
      }
    }
  }
  return picture;
}

Status FindExemplars(const std::string& folder, PromptSpec* spec) {
  size_t total = 0;
  for (TagSpec& tag : spec->tags) {
    std::vector<std::string> files;
    for (const std::string& image : tag.images) {
      const fs::path path = fs::path(folder) / image;  // an absolute one stays itself
      std::error_code error;
      const fs::file_status status = fs::status(path, error);
      if (!fs::exists(status)) {
        return NotFound(Naming(image, tag) + " is not there (looked for " + path.string() + ").");
      }
      if (fs::is_directory(status)) {
        CLIPTAG_ASSIGN_OR_RETURN(const std::vector<std::string> inside,
                                 PicturesIn(path, image, tag));
        files.insert(files.end(), inside.begin(), inside.end());
      } else if (fs::is_regular_file(status)) {
        files.push_back(path.string());
      } else {
        return InvalidArgument(Naming(image, tag) + " is neither a file nor a folder.");
      }
    }
    tag.images = std::move(files);
    total += tag.images.size();
  }
  if (total > kMostPictures) {
    return InvalidArgument("The tags have " + std::to_string(total) + " exemplar pictures; " +
                           std::to_string(kMostPictures) + " are the most.");
  }
  return {};
}

Status DecodeExemplars(const PictureDecodeFn& decode, PromptSpec* spec) {
  for (TagSpec& tag : spec->tags) {
    tag.pictures.clear();
    for (const std::string& image : tag.images) {
      Result<ExemplarPicture> picture = decode(image);
      if (!picture.ok()) {
        return Status(picture.status().code(),
                      "An exemplar picture of the tag '" + tag.label +
                          "' cannot be used: " + picture.status().message() + ".");
      }
      tag.pictures.push_back(std::make_shared<const ExemplarPicture>(picture.Take()));
    }
  }
  return {};
}

Result<std::vector<Prototype>> BuildPrototypes(const PromptSpec& spec, int dim,
                                               const PictureEncodeFn& encode) {
  std::vector<Prototype> prototypes(spec.tags.size());
  std::vector<FrameView> views;
  for (const TagSpec& tag : spec.tags) {
    if (tag.pictures.size() != tag.images.size()) {
      return Internal("The exemplar pictures of the tag '" + tag.label + "' were not decoded.");
    }
    for (const auto& picture : tag.pictures) views.push_back(picture->view());
  }
  if (views.empty()) return prototypes;
  if (!encode) return Internal("Exemplar pictures cannot be encoded here.");
  std::vector<ExemplarPicture> unrelated;
  for (const auto& kind : kUnrelated) {
    for (const int which : kind) {
      unrelated.push_back({kUnrelatedSize, kUnrelatedSize, TestPicture(which, kUnrelatedSize)});
    }
  }
  for (const ExemplarPicture& picture : unrelated) views.push_back(picture.view());
  std::vector<float> rows(views.size() * static_cast<size_t>(dim));
  CLIPTAG_RETURN_IF_ERROR(encode(views, rows.data()));
  if (!std::all_of(rows.begin(), rows.end(), [](float x) { return std::isfinite(x); })) {
    return Internal("The model gave embeddings of exemplar pictures that hold NaN or infinity.");
  }

  std::vector<size_t> tags;  // of the first groups; the built-in ones follow
  std::vector<Group> groups;
  const float* next = rows.data();
  for (size_t t = 0; t < spec.tags.size(); ++t) {
    const int count = static_cast<int>(spec.tags[t].pictures.size());
    if (count == 0) continue;
    tags.push_back(t);
    groups.emplace_back(next, count, dim);
    next += static_cast<size_t>(count) * dim;
  }
  for (const auto& kind : kUnrelated) {
    groups.emplace_back(next, static_cast<int>(std::size(kind)), dim);
    next += std::size(kind) * static_cast<size_t>(dim);
  }
  for (size_t g = 0; g < tags.size(); ++g) {
    CLIPTAG_ASSIGN_OR_RETURN(prototypes[tags[g]],
                             BuildPrototype(spec.tags[tags[g]], groups, g, tags.size(), dim));
  }
  return prototypes;
}

}  // namespace cliptag
