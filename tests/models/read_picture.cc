#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "tests/models/model_test.h"

namespace cliptag {

Picture ReadPicture(const std::string& path) {
  cv::Mat bgr = cv::imread(path, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  if (bgr.empty()) throw std::runtime_error("cannot decode " + path);
  cv::Mat rgb;
  cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  Picture out{rgb.cols, rgb.rows, {}};
  out.rgb.assign(rgb.data, rgb.data + size_t{3} * rgb.cols * rgb.rows);
  return out;
}

}  // namespace cliptag
