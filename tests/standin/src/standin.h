/* What the files of the stand-in share: the state a test steers, and the way into every call. */
#ifndef STANDIN_H
#define STANDIN_H

#include "abi.h"

enum {
    MAX_GPUS = 32,
    MAX_LINKS = 18,
    MAX_SLICES = 8,
    MAX_PROCESSES = 24,
    MAX_FAILURES = 64,
    MAX_EVENTS = 256,
    EPOCHS = 8,
};

/* Every figure of a GPU that a test can set by name; the formulas of the defaults are in values.c. */
enum figure {
#define FIGURE(name) F_##name,
#include "figures.h"
#undef FIGURE
    FIGURES
};

typedef struct {
    u32 gpu_instance, compute_instance, profile, start, size;
} slice_state;

typedef struct {
    u32 pid;
    u64 memory;
    u32 gpu_instance, compute_instance;
    char kind; /* c(ompute), g(raphics) or m(ps) */
} process_state;

typedef struct {
    char function[64]; /* a function's name, or "" for a field */
    u32 field;
    int result;
} failure;

typedef struct {
    int lost, stuck, vanished;
    char set[FIGURES];
    double figures[FIGURES];
    char link_down[MAX_LINKS];
    u64 link_errors[MAX_LINKS];
    int slice_count, process_count, failure_count;
    slice_state slices[MAX_SLICES];
    process_state processes[MAX_PROCESSES];
    failure failures[MAX_FAILURES];
} gpu_state;

typedef struct {
    u32 gpu;
    u64 code;
} xid_event;

typedef struct {
    int gpus;
    int links;
    int driver_result; /* 0, or what every call answers while the driver is away */
    char driver_version[32];
    u32 delay_us, burn_us;
    double time_s; /* negative: the real clock */
    gpu_state gpu[MAX_GPUS];
    int event_count;
    xid_event events[MAX_EVENTS];
} box_state;

/* A device handle: a GPU, or one of its MIG slices (`slice` is then its place in the list). */
struct gpu_handle {
    int gpu;
    int slice;
    int epoch;
};

extern box_state box;

/* control.c */
void control_open(void);
void control_refresh(void);
void control_wait(double seconds);
double steady_s(void);
double now_s(void);
u64 now_us(void);
void count_call(int *slot, const char *name);
void spend_time(void);
void nap_us(u32 us);

/* library.c */
nvml_return enter(int *slot, const char *function);
nvml_return enter_gpu(int *slot, const char *function, nvml_device device);
int driver_stale(void);
nvml_device handle_of(int gpu, int slice);
void put_text(char *out, u32 size, const char *text);

/* values.c */
double figure(int gpu, enum figure which);
double slice_share(int gpu, int slice);
int peer_of(int gpu);
const char *gpu_uuid(int gpu, char *out);
const char *slice_uuid(int gpu, int slice, char *out);
const char *bus_id(int gpu, char *out);
int figure_named(const char *name);

/* mig.c */
typedef struct {
    u32 id, number, slices, multiprocessors, memory_mb, instances, p2p;
    const char *name;
} mig_profile;
const mig_profile *profile_of(u32 id);

/* Begins every exported function: counts it, spends its time, answers for a driver that is away. */
#define ENTER()                                                                                    \
    static int slot = -1;                                                                          \
    nvml_return entered = enter(&slot, __func__);                                                  \
    if (entered)                                                                                   \
        return entered

/* The same for a function of one GPU, which may be lost, stuck or told to fail. */
#define ENTER_GPU(device)                                                                          \
    static int slot = -1;                                                                          \
    nvml_return entered = enter_gpu(&slot, __func__, device);                                      \
    if (entered)                                                                                   \
        return entered

#define WHOLE_GPU_ONLY(device)                                                                     \
    if ((device)->slice >= 0)                                                                      \
        return NOT_SUPPORTED

#endif
