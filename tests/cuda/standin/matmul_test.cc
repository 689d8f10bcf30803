// cuBLASLt's product against a plain loop in double.
#include "tests/cuda/standin/matmul_test.h"

namespace cliptag::standin {
namespace {

TEST_F(MatmulTest, LayoutsAndTypes) {
  for (const cudaDataType in : kTypes) {
    for (const cudaDataType out : {in, CUDA_R_32F}) {
      for (int flags = 0; flags < 4; ++flags) {
        SCOPED_TRACE(testing::Message() << in << " " << out << " " << flags);
        Check({.m = 37,
               .n = 19,
               .k = 43,
               .extra = 5,
               .ta = (flags & 1) != 0,
               .tb = (flags & 2) != 0,
               .in = in,
               .out = out,
               .alpha = 0.5f});
      }
    }
  }
}

TEST_F(MatmulTest, Epilogues) {
  for (const cublasLtEpilogue_t epilogue :
       {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU,
        CUBLASLT_EPILOGUE_RELU_BIAS, CUBLASLT_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU_BIAS}) {
    for (const cudaDataType type : kTypes) {
      SCOPED_TRACE(testing::Message() << epilogue << " " << type);
      Check({.m = 20,
             .n = 9,
             .k = 8,
             .in = type,
             .out = type,
             .epilogue = epilogue,
             .alpha = -0.75f,
             .beta = 0.5f});
    }
  }
}

TEST_F(MatmulTest, BatchesAndDepthsOverOneBlock) {
  Check({.m = 17,
         .n = 6,
         .k = 5,
         .extra = 3,
         .ta = true,
         .epilogue = CUBLASLT_EPILOGUE_BIAS,
         .beta = 1,
         .batch = 3});
  Check({.m = 18, .n = 7, .k = 1030, .in = CUDA_R_16BF, .out = CUDA_R_32F});
  Check({.m = 1, .n = 1, .k = 1});
}

}  // namespace
}  // namespace cliptag::standin
