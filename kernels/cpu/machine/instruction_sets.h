// The tables of functions that are compiled once for each instruction set, of which a build has
// those of its architecture; kernels/cpu/dispatch_x86.cc and dispatch_baseline.cc choose among them
// by CpuLevel.
//
// They are constants: code that is compiled for an instruction set must not run while the program
// is loaded, on whatever CPU.
#pragma once

namespace cliptag {

struct AttentionTask;
struct EpilogueTask;
struct PanelKernel;
struct PreprocessKernels;
struct SimdKernels;
struct WinogradTransforms;

extern const SimdKernels kSimdBaseline, kSimdAvx2, kSimdAvx512;
// What AVX512-BF16 does in place of the last one's.
void AttentionAvx512Bf16(const AttentionTask& task);
void EpilogueAvx512Bf16(const EpilogueTask& task);

extern const PanelKernel kPanelInt8Baseline;
extern const PanelKernel kPanelAvx512F32, kPanelAvx512Bf16, kPanelAvx512Vnni;
extern const PanelKernel kPanelAmxBf16, kPanelAmxInt8;

// Maps, rows, tile.
extern const WinogradTransforms kWinogradF32Tile2, kWinogradF32Tile4;
extern const WinogradTransforms kWinogradBf16F32Tile2, kWinogradBf16F32Tile4;
extern const WinogradTransforms kWinogradBf16Tile2;

extern const PreprocessKernels kPreprocessBaseline, kPreprocessAvx2, kPreprocessAvx512;

}  // namespace cliptag
