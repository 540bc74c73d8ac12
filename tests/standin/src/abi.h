/* The part of the NVML ABI that the stand-in speaks: layouts as nvidia-ml-py 13 declares them. */
#ifndef STANDIN_ABI_H
#define STANDIN_ABI_H

#include <stdint.h>

typedef unsigned int u32;
typedef unsigned long long u64;
typedef int nvml_return;
typedef struct gpu_handle *nvml_device;
typedef struct gpm_sample *nvml_gpm_sample;
typedef struct event_set *nvml_event_set;
typedef struct instance_handle *nvml_instance;

enum {
    OK = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
    NO_DATA = 21,
    ARGUMENT_VERSION_MISMATCH = 25,
    UNKNOWN = 999,
};

enum { VALUE_DOUBLE = 0, VALUE_U32 = 1, VALUE_U64 = 3, VALUE_I32 = 5 };

typedef union {
    double real;
    u32 word;
    int sword;
    u64 wide;
} any_value;

typedef struct {
    u32 field;
    u32 scope;
    long long timestamp_us;
    long long latency_us;
    u32 type;
    u32 result;
    any_value value;
} field_value;

typedef struct {
    char bus_id_legacy[16];
    u32 domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
} pci_info;

typedef struct {
    u64 total, free, used;
} memory_v1;

typedef struct {
    u32 version;
    u64 total, reserved, free, used;
} memory_v2;

typedef struct {
    u32 gpu, memory;
} utilization;

typedef struct {
    u32 pid;
    u64 memory;
    u32 gpu_instance, compute_instance;
} process_info;

typedef struct {
    u32 pid;
    u64 memory;
    u32 gpu_instance, compute_instance;
    u64 protected_memory;
} process_detail;

typedef struct {
    u32 version, mode, count;
    process_detail *list;
} process_details;

typedef struct {
    u32 pid;
    u64 timestamp;
    u32 sm, memory, encoder, decoder;
} process_utilization;

typedef struct {
    u32 version;
    int margin;
} margin_temperature;

typedef struct {
    u32 version, sensor;
    int temperature;
} temperature_v1;

typedef struct {
    nvml_device device;
    u64 type, data;
    u32 gpu_instance, compute_instance;
} event_data;

typedef struct {
    u32 metric;
    u32 result;
    double value;
    const char *short_name, *long_name, *unit;
} gpm_metric;

typedef struct {
    u32 version, count;
    nvml_gpm_sample first, second;
    gpm_metric metrics[];
} gpm_metrics;

typedef struct {
    u32 version, supported;
} gpm_support;

typedef struct {
    u32 multiprocessors, copy_engines, decoders, encoders, jpegs, ofas;
    u32 gpu_slices, compute_slices;
    u64 memory_mb;
} device_attributes;

typedef struct {
    nvml_device device;
    u32 id, profile;
    u32 start, size;
} gpu_instance_info;

typedef struct {
    u32 version;
    u32 id, p2p, slices, instances, multiprocessors, copy_engines;
    u32 decoders, encoders, jpegs, ofas;
    u64 memory_mb;
    char name[96];
} gpu_instance_profile;

#endif
