// A GPU. Everything of a device is called by one thread, which `select` has bound to it.
#pragma once

#include <memory>
#include <stdexcept>
#include <vector>

#include <cuda_runtime.h>

#include "device.h"

namespace kernels {

// One grid of any size covers all: each thread takes every stride-th piece.
__device__ inline size_t first_piece() { return size_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline size_t stride() { return size_t(gridDim.x) * blockDim.x; }

__global__ void copy(size_t count, const float4 *a, float4 *b) {
    for (size_t i = first_piece(); i < count; i += stride()) b[i] = a[i];
}

__global__ void triad(size_t count, float4 *a, const float4 *b, const float4 *c) {
    for (size_t i = first_piece(); i < count; i += stride()) {
        const float4 x = b[i], y = c[i];
        a[i] = make_float4(x.x + 3 * y.x, x.y + 3 * y.y, x.z + 3 * y.z, x.w + 3 * y.w);
    }
}

// `start` is an argument, so that the compiler cannot know the sum.
__global__ void fma_chains(int steps, float start, float expected, unsigned long long *wrong) {
    float x[kChains];
    for (int chain = 0; chain < kChains; ++chain) x[chain] = start + kApart * chain;
#pragma unroll 16
    for (int step = 0; step < steps; ++step) {
#pragma unroll
        for (int chain = 0; chain < kChains; ++chain) x[chain] = fmaf(x[chain], kFactor, kTerm);
    }
    float sum = 0;
    for (int chain = 0; chain < kChains; ++chain) sum = __fadd_rn(sum, x[chain]);
    if (sum != expected) atomicAdd(wrong, 1ull);
}

__global__ void fill(size_t count, Pattern pattern, uint4 *words) {
    for (size_t i = first_piece(); i < count; i += stride())
        words[i] = make_uint4(pattern.at(4 * i), pattern.at(4 * i + 1), pattern.at(4 * i + 2),
                              pattern.at(4 * i + 3));
}

__global__ void verify(size_t count, Pattern pattern, const uint4 *words,
                       unsigned long long *faults, unsigned long long *first) {
    for (size_t i = first_piece(); i < count; i += stride()) {
        const uint4 found = words[i];
        const uint32_t each[] = {found.x, found.y, found.z, found.w};
        for (int word = 0; word < 4; ++word) {
            if (each[word] == pattern.at(4 * i + word)) continue;
            atomicAdd(faults, 1ull);
            atomicMin(first, (unsigned long long)(4 * i + word));
        }
    }
}

}  // namespace kernels

class CudaDevice : public Device {
  public:
    // `bytes` of its memory, or 90 % of what is free if 0.
    CudaDevice(int index, size_t bytes) : index_(index) {
        select();
        need(cudaGetDeviceProperties(&properties_, index), "it could not be asked what it is");
        size_t free = 0, total = 0;
        need(cudaMemGetInfo(&free, &total), "its memory could not be asked for");
        pieces_ = (bytes ? bytes : free / 10 * 9) / (3 * sizeof(float4)) * 3;
        need(cudaMalloc(&memory_, this->bytes()), "there is no room for so much memory");
        need(cudaMalloc(&counters_, 2 * sizeof *counters_), "there is no room for counters");
        need(cudaEventCreate(&begin_), "no timer could be made");
        need(cudaEventCreate(&end_), "no timer could be made");
        expected_ = expected_sum(kSteps);
    }

    ~CudaDevice() override {
        cudaSetDevice(index_);
        cudaFree(memory_);
        cudaFree(counters_);
        cudaEventDestroy(begin_);
        cudaEventDestroy(end_);
    }

    CudaDevice(const CudaDevice &) = delete;
    CudaDevice &operator=(const CudaDevice &) = delete;

    std::string name() const override { return properties_.name; }

    size_t bytes() const override { return pieces_ * sizeof(float4); }

    // By the clocks and widths that the driver tells: what a data sheet would say.
    Roof roof() override {
        const double memory_hz = 1e3 * attribute(cudaDevAttrMemoryClockRate);
        const double width_bytes = attribute(cudaDevAttrGlobalMemoryBusWidth) / 8.0;
        const double core_hz = 1e3 * attribute(cudaDevAttrClockRate);
        const double lanes = double(properties_.multiProcessorCount) * lanes_of_a_multiprocessor();
        return {2 * memory_hz * width_bytes, 2 * lanes * core_hz, false};
    }

    double copy() override {
        const size_t third = pieces_ / 3;
        return timed([&] { kernels::copy<<<blocks(), kThreads>>>(third, a(), a() + third); });
    }

    double triad() override {
        const size_t third = pieces_ / 3;
        return timed([&] {
            kernels::triad<<<blocks(), kThreads>>>(third, a(), a() + third, a() + 2 * third);
        });
    }

    double fma(double &flops, uint64_t &wrong) override {
        clear_counters();
        const double seconds = timed([&] {
            kernels::fma_chains<<<blocks(), kThreads>>>(kSteps, kStart, expected_, counters_);
        });
        wrong += counter(0);
        flops = 2.0 * kChains * kSteps * blocks() * kThreads;
        return seconds;
    }

    double fill(Pattern pattern) override {
        return timed([&] {
            kernels::fill<<<blocks(), kThreads>>>(pieces_, pattern, (uint4 *)memory_);
        });
    }

    double verify(Pattern pattern, Faults &faults) override {
        clear_counters();
        const double seconds = timed([&] {
            kernels::verify<<<blocks(), kThreads>>>(pieces_, pattern, (const uint4 *)memory_,
                                                    counters_, counters_ + 1);
        });
        faults.words += counter(0);
        if (counter(1) < faults.first) faults.first = counter(1);
        return seconds;
    }

    // Bind the calling thread to this device.
    void select() const { need(cudaSetDevice(index_), "it could not be chosen"); }

  private:
    static constexpr int kThreads = 256;
    static constexpr int kSteps = 200000;

    static void need(cudaError_t error, const char *what) {
        if (error != cudaSuccess)
            throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
    }

    float4 *a() const { return static_cast<float4 *>(memory_); }

    int blocks() const { return 8 * properties_.multiProcessorCount; }

    double attribute(cudaDeviceAttr which) const {
        int value = 0;
        // One that this driver does not tell stays 0: no roof is better than a wrong one.
        if (cudaDeviceGetAttribute(&value, which, index_) != cudaSuccess) return 0;
        return value;
    }

    // fp32 lanes of a multiprocessor, from the CUDA programming guide; 0 for one it does not name.
    int lanes_of_a_multiprocessor() const {
        switch (10 * properties_.major + properties_.minor) {
            case 60: case 70: case 72: case 75: case 80: return 64;
            case 50: case 52: case 53: case 61: case 62: case 86: case 87: case 89: case 90:
            case 100: case 103: case 110: case 120: case 121: return 128;
            default: return 0;
        }
    }

    template <typename Work> double timed(Work work) {
        need(cudaEventRecord(begin_), "the timer did not start");
        work();
        need(cudaGetLastError(), "the kernel did not start");
        need(cudaEventRecord(end_), "the timer did not stop");
        need(cudaEventSynchronize(end_), "it failed");
        float milliseconds = 0;
        need(cudaEventElapsedTime(&milliseconds, begin_, end_), "the time could not be read");
        return milliseconds / 1e3;
    }

    void clear_counters() {
        const unsigned long long cleared[2] = {0, UINT64_MAX};
        need(cudaMemcpy(counters_, cleared, sizeof cleared, cudaMemcpyHostToDevice),
             "a counter could not be cleared");
    }

    uint64_t counter(int which) const {
        unsigned long long value = 0;
        need(cudaMemcpy(&value, counters_ + which, sizeof value, cudaMemcpyDeviceToHost),
             "a counter could not be read");
        return value;
    }

    int index_;
    cudaDeviceProp properties_{};
    size_t pieces_ = 0;
    void *memory_ = nullptr;
    unsigned long long *counters_ = nullptr;
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
    float expected_ = 0;
};

// Every GPU that this job was given. If there is none, `why` says so in the driver's words.
inline std::vector<std::unique_ptr<CudaDevice>> cuda_devices(size_t bytes, std::string &why) {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
        why = cudaGetErrorString(error == cudaSuccess ? cudaErrorNoDevice : error);
        count = 0;
    }
    std::vector<std::unique_ptr<CudaDevice>> devices;
    for (int index = 0; index < count; ++index)
        devices.push_back(std::make_unique<CudaDevice>(index, bytes));
    return devices;
}
