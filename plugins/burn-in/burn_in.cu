// A burn-in: each device copies, adds, multiplies and keeps patterns for as long as was chosen, and
// every word and every sum is checked. Built by nvcc it tests GPUs, by a C++ compiler the processor.
// Usage: burn_in MINUTES MEBIBYTES auto|cuda|cpu TABLE. Ends with 0 if all is well, 1 if something
// was wrong or a device failed, 2 if there is nothing to test.

#include <array>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpu_device.h"
#include "device.h"
#include "events.h"
#ifdef __CUDACC__
#include "cuda_device.h"
#endif

constexpr size_t kCpuBytes = size_t(256) << 20;
constexpr double kTestSeconds = 0.2;  // of a test in each round, at least

static volatile std::sig_atomic_t stopping = 0;
extern "C" void stop(int) { stopping = 1; }

enum Test { kCopy, kTriad, kFma, kMemory, kTests };
constexpr const char *kNames[kTests] = {"copy", "triad", "fma", "memory"};
constexpr const char *kUnits[kTests] = {"GB/s", "GB/s", "TFLOP/s", "GB/s"};

// Launches of one test, and what they moved and computed.
struct Work {
    double seconds = 0, bytes = 0, flops = 0;
    long count = 0;

    void add(const Work &other) {
        seconds += other.seconds;
        bytes += other.bytes;
        flops += other.flops;
        count += other.count;
    }
    double rate() const { return (flops > 0 ? flops / 1e12 : bytes / 1e9) / seconds; }
};

// What is known of one device; guarded by `lock` once its thread runs.
struct Card {
    std::unique_ptr<Device> device;
    Roof roof{};
    std::array<Work, kTests> all{}, untold{};
    uint64_t wrong_words = 0, wrong_sums = 0;
    long rounds = 0;
    std::string failure{};
    bool running = true;
};

static std::mutex lock;
static std::condition_variable news;

static void note(Card &card, Test test, const Work &work, uint64_t words = 0, uint64_t sums = 0) {
    const std::lock_guard<std::mutex> guard(lock);
    card.all[test].add(work);
    card.untold[test].add(work);
    card.wrong_words += words;
    card.wrong_sums += sums;
}

template <typename Launch> static Work repeated(Launch launch) {
    Work work;
    do launch(work);
    while (work.seconds < kTestSeconds && !stopping);
    return work;
}

static void test_bandwidth(Card &card) {
    Device &device = *card.device;
    const double third = device.bytes() / 3.0;
    note(card, kCopy, repeated([&](Work &work) { work.add({device.copy(), 2 * third, 0, 1}); }));
    note(card, kTriad, repeated([&](Work &work) { work.add({device.triad(), 3 * third, 0, 1}); }));
}

static void test_arithmetic(Card &card) {
    uint64_t wrong = 0;
    const Work work = repeated([&](Work &sum) {
        double flops = 0;
        const double seconds = card.device->fma(flops, wrong);
        sum.add({seconds, 0, flops, 1});
    });
    note(card, kFma, work, 0, wrong);
}

// Moving inversions: a pattern is written, read back, inverted and read back. Each round has another
// one, so that every bit is held both ways beside neighbours that are and are not as it is.
static void test_memory(Card &card, long round) {
    static constexpr Pattern kPatterns[] = {{0, 0}, {0x55555555u, 0}, {0x33333333u, 0}, {0, 1}};
    Pattern pattern = kPatterns[round % 4];
    if (pattern.seed) pattern.seed = uint32_t(round + 1);
    const double bytes = card.device->bytes();
    for (const Pattern &written : {pattern, pattern.inverse()}) {
        Faults faults;
        double seconds = card.device->fill(written);
        seconds += card.device->verify(written, faults);
        note(card, kMemory, {seconds, 2 * bytes, 0, 2}, faults.words);
        if (faults.words) {
            const std::lock_guard<std::mutex> guard(lock);
            message("error", format("%llu words were not what had been written, the first at byte "
                                    "%llu of ", (unsigned long long)faults.words,
                                    (unsigned long long)faults.first * sizeof(uint32_t)) +
                                 card.device->name());
        }
    }
}

static void burn(Card &card, std::chrono::steady_clock::time_point until) {
    try {
#ifdef __CUDACC__
        if (auto *gpu = dynamic_cast<CudaDevice *>(card.device.get())) gpu->select();
#endif
        for (long round = 0; !stopping; ++round) {
            test_memory(card, round);
            test_bandwidth(card);
            test_arithmetic(card);
            const std::lock_guard<std::mutex> guard(lock);
            ++card.rounds;
            if (std::chrono::steady_clock::now() >= until) break;
        }
    } catch (const std::exception &error) {
        const std::lock_guard<std::mutex> guard(lock);
        card.failure = error.what();
    }
    const std::lock_guard<std::mutex> guard(lock);
    card.running = false;
    news.notify_all();
}

static double roof_of(const Card &card, Test test) {
    return test == kFma ? card.roof.flops / 1e12 : card.roof.bytes / 1e9;
}

// Each device and test in a row: its mean so far, and the share of what the device can do.
static std::string table(const std::vector<Card> &cards, const std::string &name) {
    std::string rows;
    for (size_t index = 0; index < cards.size(); ++index) {
        const Card &card = cards[index];
        for (int test = 0; test < kTests; ++test) {
            const Work &work = card.all[test];
            if (work.count == 0) continue;
            const double roof = roof_of(card, Test(test));
            const uint64_t wrong = test == kFma ? card.wrong_sums : card.wrong_words;
            rows += (rows.empty() ? "[" : ", [") + format("%zu, ", index) +
                    quoted(card.device->name()) +
                    format(", \"%s\", %.6g, \"%s\", ", kNames[test], work.rate(), kUnits[test]) +
                    (roof > 0 ? format("%.4g", 100 * work.rate() / roof) : "null") +
                    (test == kFma || test == kMemory ? format(", %llu]", (unsigned long long)wrong)
                                                     : ", null]");
        }
    }
    return "\"type\": \"table\", \"name\": " + quoted(name) +
           ", \"columns\": [\"card\", \"device\", \"test\", \"rate\", \"unit\", \"% of the roof\", "
           "\"errors\"], \"rows\": [" + rows + "]";
}

static void tell_roof(const Card &card, size_t count) {
    const Roof &roof = card.roof;
    tell("\"type\": \"roofline\", \"bytes_per_s\": " +
         (roof.bytes > 0 ? format("%.6g", roof.bytes) : "null") + ", \"flops_per_s\": " +
         (roof.flops > 0 ? format("%.6g", roof.flops) : "null") + ", \"measured\": " +
         (roof.measured ? "true" : "false") + ", \"device\": " +
         quoted(count == 1 ? card.device->name()
                           : format("%zu × ", count) + card.device->name()));
}

// A roof that was measured lies no lower than what was seen since.
static void raise_roof(Card &card, size_t count) {
    const Work &copies = card.untold[kCopy];
    if (!card.roof.measured || copies.count == 0) return;
    const double seen = copies.bytes / copies.seconds;
    if (seen <= card.roof.bytes) return;
    card.roof.bytes = seen;
    tell_roof(card, count);
}

// What happened since the last time: kernels of all cards together, rates of the slowest.
static void report(std::vector<Card> &cards, const std::string &name) {
    std::array<double, kTests> slowest{};
    uint64_t errors = 0;
    for (Card &card : cards) raise_roof(card, cards.size());
    for (int test = 0; test < kTests; ++test) {
        Work work;
        for (Card &card : cards) {
            const Work &mine = card.untold[test];
            if (mine.count == 0) continue;
            if (work.count == 0 || mine.rate() < slowest[test]) slowest[test] = mine.rate();
            work.add(mine);
            card.untold[test] = Work();
        }
        if (work.count == 0) continue;
        tell(format("\"type\": \"kernel\", \"name\": \"%s\", \"seconds\": %.9g, \"count\": %ld, ",
                    kNames[test], work.seconds, work.count) +
             (test == kFma ? format("\"bytes\": null, \"flops\": %.9g", work.flops)
                           : format("\"bytes\": %.9g, \"flops\": null", work.bytes)));
    }
    for (const Card &card : cards) errors += card.wrong_words + card.wrong_sums;
    std::string values = format("\"errors\": %llu", (unsigned long long)errors);
    const char *metrics[] = {"copy_gb_per_s", "triad_gb_per_s", "fma_tflop_per_s",
                             "memory_gb_per_s"};
    for (int test = 0; test < kTests; ++test)
        if (slowest[test] > 0) values += format(", \"%s\": %.6g", metrics[test], slowest[test]);
    tell(format("\"type\": \"metrics\", \"step\": %ld, \"values\": {", cards[0].rounds) + values +
         "}");
    tell(table(cards, name));
}

static int conclude(const std::vector<Card> &cards) {
    int code = 0;
    for (size_t index = 0; index < cards.size(); ++index) {
        const Card &card = cards[index];
        const std::string who = format("Card %zu, ", index) + card.device->name();
        if (!card.failure.empty()) {
            message("error", who + ", failed: " + card.failure);
            code = 1;
        } else if (card.wrong_words || card.wrong_sums) {
            message("error", who + format(", is not well: %llu wrong words, %llu wrong sums in %ld "
                                          "rounds.", (unsigned long long)card.wrong_words,
                                          (unsigned long long)card.wrong_sums, card.rounds));
            code = 1;
        } else {
            message("info", who + format(", is well: no error in %ld rounds over %.1f GiB.",
                                         card.rounds, card.device->bytes() / 1073741824.0));
        }
    }
    return code;
}

// The devices to test; empty, and said, if there is none of the kind that was chosen.
static std::vector<Card> find_cards(const std::string &choice, size_t bytes) {
    std::vector<Card> cards;
#ifdef __CUDACC__
    if (choice != "cpu") {
        std::string why;
        for (auto &gpu : cuda_devices(bytes, why)) {
            cards.emplace_back();
            cards.back().device = std::move(gpu);
        }
        if (cards.empty())
            message(choice == "cuda" ? "error" : "warning",
                    "Compiled, but there is no CUDA device to run on (" + why + ")" +
                        (choice == "cuda" ? "." : ": the processor is tested, and no GPU."));
    }
#endif
    if (cards.empty() && choice != "cuda") {
        cards.emplace_back();
        cards.back().device = std::make_unique<CpuDevice>(bytes ? bytes : kCpuBytes);
    }
    return cards;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: burn_in MINUTES MEBIBYTES auto|cuda|cpu TABLE\n");
        return 2;
    }
    open_events();
    std::signal(SIGTERM, stop);
    std::signal(SIGINT, stop);
    const double seconds = 60 * std::atof(argv[1]);
    const size_t bytes = size_t(std::atoll(argv[2])) << 20;
    std::vector<Card> cards;
    try {
        cards = find_cards(argv[3], bytes);
        for (Card &card : cards) card.roof = card.device->roof();
    } catch (const std::exception &error) {
        message("error", std::string("A device cannot be tested: ") + error.what());
        return 1;
    }
    if (cards.empty()) return 2;
    tell_roof(cards[0], cards.size());

    const auto began = std::chrono::steady_clock::now();
    const auto until = began + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                   std::chrono::duration<double>(seconds));
    std::vector<std::thread> threads;
    for (Card &card : cards) threads.emplace_back(burn, std::ref(card), until);
    for (bool running = true; running;) {
        std::unique_lock<std::mutex> guard(lock);
        news.wait_for(guard, std::chrono::milliseconds(500));
        running = false;
        for (const Card &card : cards) running = running || card.running;
        report(cards, argv[4]);
        const double passed =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        const double done = !running && !stopping ? seconds : std::min(passed, seconds);
        tell(format("\"type\": \"progress\", \"done\": %.1f, \"total\": %.1f, \"unit\": \"s\"",
                    done, seconds));
    }
    for (std::thread &thread : threads) thread.join();
    return conclude(cards);
}
