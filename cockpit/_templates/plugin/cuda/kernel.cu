// y = a x + y against the measured bandwidth of the memory: a workload to start from.
// Built by nvcc it runs on a GPU; where there is none, or no nvcc, on the processor, and says so.
// An event is a line of JSON appended to the file COCKPIT_EVENTS; outside cockpit it is printed.

#include <chrono>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define EVERYWHERE __host__ __device__
#else
#define EVERYWHERE
#endif

constexpr int kLaunchesPerBatch = 20;

static FILE *events = stdout;
static volatile std::sig_atomic_t stopping = 0;

extern "C" void stop(int) { stopping = 1; }

// What is computed for each element: the same source for both.
EVERYWHERE inline float saxpy_of(float a, float x, float y) { return a * x + y; }

// One event: its fields, with its time. One write per line, so that no reader sees half of one.
static void tell(const char *fields, ...) {
    char text[512];
    va_list values;
    va_start(values, fields);
    vsnprintf(text, sizeof text, fields, values);
    va_end(values);
    timespec now;
    timespec_get(&now, TIME_UTC);
    fprintf(events, "{\"time_s\": %.3f, %s}\n", now.tv_sec + now.tv_nsec / 1e9, text);
    fflush(events);
}

static void message(const char *level, const char *text, const char *reason) {
    fprintf(stderr, "%s%s\n", text, reason);
    tell("\"type\": \"message\", \"level\": \"%s\", \"text\": \"%s%s\"", level, text, reason);
}

// The vectors in the memory of the processor, and one thread of it.
class Processor {
  public:
    explicit Processor(size_t count) : x_(count, 0.0f), y_(count, 0.0f) {}
    const char *name() const { return "CPU, one thread"; }

    double copy() {
        return timed([&] { memcpy(y_.data(), x_.data(), y_.size() * sizeof(float)); });
    }

    double saxpy(int launches) {
        return timed([&] {
            for (int launch = 0; launch < launches; ++launch)
                for (size_t i = 0; i < y_.size(); ++i) y_[i] = saxpy_of(0.5f, x_[i], y_[i]);
        });
    }

  private:
    template <typename Work> static double timed(Work work) {
        const auto began = std::chrono::steady_clock::now();
        work();
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    }

    std::vector<float> x_, y_;
};

#ifdef __CUDACC__
__global__ void saxpy_kernel(size_t count, float a, const float *x, float *y) {
    const size_t stride = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride)
        y[i] = saxpy_of(a, x[i], y[i]);
}

// The vectors in the memory of the first GPU that this job was given.
class Gpu {
  public:
    explicit Gpu(size_t count) : count_(count) {
        const size_t bytes = count * sizeof(float);
        need(cudaGetDeviceProperties(&device_, 0), "The GPU could not be asked what it is: ");
        need(cudaMalloc(&x_, bytes), "No room for the first vector: ");
        need(cudaMalloc(&y_, bytes), "No room for the second vector: ");
        need(cudaMemset(x_, 0, bytes), "The first vector could not be cleared: ");
        need(cudaMemset(y_, 0, bytes), "The second vector could not be cleared: ");
        need(cudaEventCreate(&begin_), "No timer could be made: ");
        need(cudaEventCreate(&end_), "No timer could be made: ");
    }

    const char *name() const { return device_.name; }

    double copy() {
        const size_t bytes = count_ * sizeof(float);
        return timed([&] {
            need(cudaMemcpyAsync(y_, x_, bytes, cudaMemcpyDeviceToDevice), "No copy: ");
        });
    }

    double saxpy(int launches) {
        return timed([&] {
            for (int launch = 0; launch < launches; ++launch)
                saxpy_kernel<<<32 * device_.multiProcessorCount, 256>>>(count_, 0.5f, x_, y_);
        });
    }

  private:
    // Says why this cannot go on, and ends with 2: it is the machine, not the computation.
    static void need(cudaError_t error, const char *what) {
        if (error == cudaSuccess) return;
        message("error", what, cudaGetErrorString(error));
        exit(2);
    }

    // Seconds that `work` takes on the GPU, by its own clock.
    template <typename Work> double timed(Work work) {
        need(cudaEventRecord(begin_), "The timer did not start: ");
        work();
        need(cudaGetLastError(), "The kernel did not start: ");
        need(cudaEventRecord(end_), "The timer did not stop: ");
        need(cudaEventSynchronize(end_), "The GPU failed: ");
        float milliseconds = 0;
        need(cudaEventElapsedTime(&milliseconds, begin_, end_), "No time could be read: ");
        return milliseconds / 1e3;
    }

    size_t count_;
    cudaDeviceProp device_{};
    float *x_ = nullptr, *y_ = nullptr;
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
};
#endif

// The best of some copies is the roof; then batch after batch of the kernel is held against it.
template <typename Place> static int run(Place &&place, size_t count, long batches) {
    const double bytes = double(count) * sizeof(float);
    double roof = 0;
    for (int attempt = 0; attempt < 5; ++attempt) {
        const double rate = 2 * bytes / place.copy();
        if (rate > roof) roof = rate;
    }
    tell("\"type\": \"roofline\", \"bytes_per_s\": %.6g, \"flops_per_s\": null, "
         "\"measured\": true, \"device\": \"%s\"",
         roof, place.name());
    long batch = 0;
    for (; batch < batches && !stopping; ++batch) {
        const double seconds = place.saxpy(kLaunchesPerBatch);
        const double moved = 3 * bytes * kLaunchesPerBatch;
        tell("\"type\": \"kernel\", \"name\": \"saxpy\", \"seconds\": %.9g, \"count\": %d, "
             "\"bytes\": %.0f, \"flops\": %.0f",
             seconds, kLaunchesPerBatch, moved, 2.0 * count * kLaunchesPerBatch);
        tell("\"type\": \"metrics\", \"step\": %ld, \"values\": {\"gb_per_s\": %.6g}", batch + 1,
             moved / seconds / 1e9);
        tell("\"type\": \"progress\", \"done\": %ld, \"total\": %ld, \"unit\": \"batches\"",
             batch + 1, batches);
    }
    printf("%ld of %ld batches on %s\n", batch, batches, place.name());
    return 0;
}

int main(int argc, char **argv) {
    const size_t count = (size_t(argc > 1 ? atoll(argv[1]) : 256) << 20) / sizeof(float);
    const long batches = argc > 2 ? atol(argv[2]) : 200;
    const char *path = getenv("COCKPIT_EVENTS");
    if (path && *path && !(events = fopen(path, "a"))) {
        perror(path);
        return 2;
    }
    std::signal(SIGTERM, stop);
    std::signal(SIGINT, stop);
#ifdef __CUDACC__
    int devices = 0;
    const cudaError_t found = cudaGetDeviceCount(&devices);
    if (found == cudaSuccess && devices > 0) return run(Gpu(count), count, batches);
    message("warning", "Compiled, but there is no CUDA device, so this runs on the processor: ",
            cudaGetErrorString(found == cudaSuccess ? cudaErrorNoDevice : found));
#else
    message("warning", "There is no nvcc here, so this runs on the processor.", "");
#endif
    return run(Processor(count), count, batches);
}
