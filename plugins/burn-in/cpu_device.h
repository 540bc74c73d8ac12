// The processor: all threads that this process may use.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "device.h"

class CpuDevice : public Device {
  public:
    explicit CpuDevice(size_t bytes)
        : words_(bytes / sizeof(uint32_t) / 3 * 3), memory_(words_),
          threads_(std::max(1u, std::thread::hardware_concurrency())),
          expected_(expected_sum(kSteps)) {}

    std::string name() const override {
        return "CPU, " + std::to_string(threads_) + (threads_ == 1 ? " thread" : " threads");
    }

    size_t bytes() const override { return words_ * sizeof(uint32_t); }

    // No data sheet is at hand here, so that the best of five copies is the roof.
    Roof roof() override {
        double best = copy();
        for (int attempt = 0; attempt < 4; ++attempt) best = std::min(best, copy());
        return {2.0 * bytes() / 3 / best, 0, true};
    }

    double copy() override {
        uint32_t *words = memory_.data();
        const size_t third = words_ / 3;
        return timed([=](size_t from, size_t to) {
            std::memcpy(words + third + from, words + from, (to - from) * sizeof(uint32_t));
        }, third);
    }

    double triad() override {
        const size_t third = words_ / 3;
        float *a = reinterpret_cast<float *>(memory_.data()), *b = a + third, *c = b + third;
        // Patterns read as numbers may be denormal, which many processors compute slowly.
        std::fill(b, c + third, 1.0f);
        return timed([=](size_t from, size_t to) {
            for (size_t i = from; i < to; ++i) a[i] = b[i] + 3.0f * c[i];
        }, third);
    }

    double fma(double &flops, uint64_t &wrong) override {
        std::vector<uint64_t> found(threads_, 0);
        uint64_t *each = found.data();
        const float expected = expected_;
        const double seconds = timed([=](size_t from, size_t to) {
            for (size_t part = from; part < to; ++part) each[part] = wrong_lanes(expected);
        }, threads_);
        for (const uint64_t lanes : found) wrong += lanes;
        flops = 2.0 * kChains * kLanes * kSteps * threads_;
        return seconds;
    }

    double fill(Pattern pattern) override {
        uint32_t *words = memory_.data();
        return timed([=](size_t from, size_t to) {
            for (size_t i = from; i < to; ++i) words[i] = pattern.at(i);
        }, words_);
    }

    double verify(Pattern pattern, Faults &faults) override {
        std::vector<Faults> found(threads_);
        Faults *each = found.data();
        const uint32_t *words = memory_.data();
        const size_t share = this->share(words_);
        const double seconds = timed([=](size_t from, size_t to) {
            Faults mine;
            for (size_t i = from; i < to; ++i) {
                if (words[i] == pattern.at(i)) continue;
                ++mine.words;
                mine.first = std::min<uint64_t>(mine.first, i);
            }
            each[from / share] = mine;
        }, words_);
        for (const Faults &part : found) {
            faults.words += part.words;
            faults.first = std::min(faults.first, part.first);
        }
        return seconds;
    }

  private:
    static constexpr long kSteps = 200000;
    static constexpr int kLanes = 8;

    // One array and one loop over all of it, which compilers turn into vector registers.
    static uint64_t wrong_lanes(float expected) {
        float x[kChains * kLanes];
        for (int i = 0; i < kChains * kLanes; ++i) x[i] = kStart + kApart * (i / kLanes);
        for (long step = 0; step < kSteps; ++step)
            for (int i = 0; i < kChains * kLanes; ++i) x[i] = std::fma(x[i], kFactor, kTerm);
        uint64_t wrong = 0;
        for (int lane = 0; lane < kLanes; ++lane) {
            float sum = 0;
            for (int chain = 0; chain < kChains; ++chain) sum += x[chain * kLanes + lane];
            wrong += sum != expected;
        }
        return wrong;
    }

    size_t share(size_t count) const { return (count + threads_ - 1) / threads_; }

    // Seconds that all threads together need for `count` pieces of `work(from, to)`.
    double timed(const std::function<void(size_t, size_t)> &work, size_t count) const {
        const auto began = std::chrono::steady_clock::now();
        std::vector<std::thread> running;
        for (size_t from = 0; from < count; from += share(count))
            running.emplace_back(work, from, std::min(from + share(count), count));
        for (std::thread &thread : running) thread.join();
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    }

    size_t words_;
    std::vector<uint32_t> memory_;
    unsigned threads_;
    float expected_;
};
