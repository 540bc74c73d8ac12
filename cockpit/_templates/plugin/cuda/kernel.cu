// y = a x + y on one GPU, against the measured bandwidth of its memory: a workload to start from.
// An event is a line of JSON appended to the file COCKPIT_EVENTS; outside cockpit it is printed.

#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <cuda_runtime.h>

constexpr int kLaunchesPerBatch = 20;

static FILE *events = stdout;
static volatile std::sig_atomic_t stopping = 0;

extern "C" void stop(int) { stopping = 1; }

__global__ void saxpy(size_t count, float a, const float *x, float *y) {
    const size_t stride = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride)
        y[i] = a * x[i] + y[i];
}

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

// Says why this cannot go on, and ends with 2: it is the machine, not the computation.
static void fail(const char *what, cudaError_t error) {
    fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
    tell("\"type\": \"message\", \"level\": \"error\", \"text\": \"%s: %s\"", what,
         cudaGetErrorString(error));
    exit(2);
}

static void need(cudaError_t error, const char *what) {
    if (error != cudaSuccess) fail(what, error);
}

// Seconds that `work` takes on the GPU.
template <typename Work> static double timed(Work work) {
    static cudaEvent_t begin, end;
    static const cudaError_t made[] = {cudaEventCreate(&begin), cudaEventCreate(&end)};
    need(made[0], "No timer could be made");
    need(made[1], "No timer could be made");
    need(cudaEventRecord(begin), "The timer did not start");
    work();
    need(cudaGetLastError(), "The kernel did not start");
    need(cudaEventRecord(end), "The timer did not stop");
    need(cudaEventSynchronize(end), "The GPU failed");
    float milliseconds = 0;
    need(cudaEventElapsedTime(&milliseconds, begin, end), "The time could not be read");
    return milliseconds / 1e3;
}

int main(int argc, char **argv) {
    const size_t bytes = size_t(argc > 1 ? atoll(argv[1]) : 256) << 20;
    const long batches = argc > 2 ? atol(argv[2]) : 200;
    const char *path = getenv("COCKPIT_EVENTS");
    if (path && *path && !(events = fopen(path, "a"))) {
        perror(path);
        return 2;
    }
    std::signal(SIGTERM, stop);
    std::signal(SIGINT, stop);

    int devices = 0;
    const cudaError_t found = cudaGetDeviceCount(&devices);
    if (found != cudaSuccess || devices == 0)
        fail("No GPU was there", found == cudaSuccess ? cudaErrorNoDevice : found);
    cudaDeviceProp device;
    need(cudaGetDeviceProperties(&device, 0), "The GPU could not be asked what it is");

    float *x = nullptr, *y = nullptr;
    need(cudaMalloc(&x, bytes), "No room for the first vector");
    need(cudaMalloc(&y, bytes), "No room for the second vector");
    need(cudaMemset(x, 0, bytes), "The first vector could not be cleared");
    need(cudaMemset(y, 0, bytes), "The second vector could not be cleared");

    double roof = 0;
    for (int attempt = 0; attempt < 5; ++attempt) {
        const double seconds = timed([&] {
            need(cudaMemcpyAsync(y, x, bytes, cudaMemcpyDeviceToDevice), "The copy did not start");
        });
        if (2.0 * bytes / seconds > roof) roof = 2.0 * bytes / seconds;
    }
    tell("\"type\": \"roofline\", \"bytes_per_s\": %.6g, \"flops_per_s\": null, "
         "\"measured\": true, \"device\": \"%s\"",
         roof, device.name);

    const size_t count = bytes / sizeof(float);
    const int blocks = 32 * device.multiProcessorCount;
    long batch = 0;
    for (; batch < batches && !stopping; ++batch) {
        const double seconds = timed([&] {
            for (int launch = 0; launch < kLaunchesPerBatch; ++launch)
                saxpy<<<blocks, 256>>>(count, 0.5f, x, y);
        });
        const double moved = 3.0 * bytes * kLaunchesPerBatch;
        tell("\"type\": \"kernel\", \"name\": \"saxpy\", \"seconds\": %.9g, \"count\": %d, "
             "\"bytes\": %.0f, \"flops\": %.0f",
             seconds, kLaunchesPerBatch, moved, 2.0 * count * kLaunchesPerBatch);
        tell("\"type\": \"metrics\", \"step\": %ld, \"values\": {\"gb_per_s\": %.6g}", batch + 1,
             moved / seconds / 1e9);
        tell("\"type\": \"progress\", \"done\": %ld, \"total\": %ld, \"unit\": \"batches\"",
             batch + 1, batches);
    }
    cudaFree(x);
    cudaFree(y);
    printf("%ld of %ld batches on %s\n", batch, batches, device.name);
    return 0;
}
