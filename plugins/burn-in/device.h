// What is tested: a GPU, or the processor in its place.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#ifdef __CUDACC__
#define EVERYWHERE __host__ __device__
#else
#define EVERYWHERE
#endif

// What the memory is filled with: word `i` is a constant, or a hash of its own address.
struct Pattern {
    uint32_t constant;
    uint32_t seed;  // 0: the constant alone

    EVERYWHERE uint32_t at(uint64_t i) const {
        if (seed == 0) return constant;
        // The finalizer of MurmurHash3 (Appleby, public domain): every bit of i moves every bit.
        uint32_t mixed = uint32_t(i) ^ uint32_t(i >> 32) ^ seed;
        mixed = (mixed ^ (mixed >> 16)) * 0x85ebca6bu;
        mixed = (mixed ^ (mixed >> 13)) * 0xc2b2ae35u;
        return constant ^ mixed ^ (mixed >> 16);
    }
    Pattern inverse() const { return {~constant, seed}; }
};

// Words that were not what had been written.
struct Faults {
    uint64_t words = 0;
    uint64_t first = UINT64_MAX;  // index of the first of them
};

// Chains of x = x * factor + term, whose end is the same bits on every IEEE 754 machine.
constexpr int kChains = 8;
constexpr float kFactor = 0.99990f, kTerm = 0.00010f, kStart = 0.5f, kApart = 0.125f;

// The sum of the ends of the chains after `steps`, by the processor.
inline float expected_sum(long steps) {
    float sum = 0;
    for (int chain = 0; chain < kChains; ++chain) {
        float x = kStart + kApart * chain;
        for (long step = 0; step < steps; ++step) x = std::fma(x, kFactor, kTerm);
        sum += x;
    }
    return sum;
}

// The most that a device can do, per second; 0 where that is not known.
struct Roof {
    double bytes = 0, flops = 0;
    bool measured = false;
};

// Every test works on the same `bytes()` of memory and returns the seconds that the device needed.
// It throws std::runtime_error when the device fails.
class Device {
  public:
    virtual ~Device() = default;
    virtual std::string name() const = 0;
    virtual Roof roof() = 0;
    virtual size_t bytes() const = 0;
    // The STREAM kernels (McCalpin 1995) on thirds of the memory: b = a, and a = b + 3 c.
    virtual double copy() = 0;
    virtual double triad() = 0;
    // All chains on every lane; `flops` is what was done, `wrong` the lanes with another sum.
    virtual double fma(double &flops, uint64_t &wrong) = 0;
    virtual double fill(Pattern pattern) = 0;
    virtual double verify(Pattern pattern, Faults &faults) = 0;
};
