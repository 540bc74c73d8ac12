/* The control file, the call counts and the clock.
 *
 * COCKPIT_STANDIN names a text file that stays mapped: its first line is `generation N`, and the
 * file is read again as soon as those sixteen digits differ. One directive a line:
 *
 *   gpus N · links N · driver RESULT · driver_version TEXT · delay_us N · burn_us N · time SECONDS
 *   lost GPU · stuck GPU · vanished GPU
 *   set GPU FIGURE VALUE · fail GPU FUNCTION RESULT · fail_field GPU FIELD RESULT
 *   link_down GPU LINK · link_errors GPU LINK N · xid GPU CODE
 *   slice GPU INSTANCE COMPUTE PROFILE START SIZE · process GPU PID MEMORY KIND INSTANCE COMPUTE
 *
 * Calls are counted in the file of the same name plus `.calls`: rows of a 56-byte name and a
 * 64-bit count, shared by every process that uses the control file.
 */
#include "standin.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_ROWS = 256, STAMP_SIZE = 27 };

typedef struct {
    char name[56];
    u64 count;
} count_row;

box_state box = {.gpus = 10, .links = 12, .time_s = -1, .driver_version = "580.105.08"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char opened[4096];
static const char *text;
static size_t text_size;
static char stamp[STAMP_SIZE];
static count_row *counts;
static int counts_file = -1;

/* Read whole before it takes effect, so that no call sees a state that nobody asked for. */
static box_state draft;

static void read_line(const char *line) {
    u32 gpu = 0, a = 0, b = 0, c = 0, d = 0, e = 0;
    u64 wide = 0;
    double value = 0;
    char word[64] = "", kind = 'c';

    if (sscanf(line, "gpus %u", &a) == 1 && a <= MAX_GPUS)
        draft.gpus = (int)a;
    else if (sscanf(line, "links %u", &a) == 1 && a <= MAX_LINKS)
        draft.links = (int)a;
    else if (sscanf(line, "driver %u", &a) == 1)
        draft.driver_result = (int)a;
    else if (sscanf(line, "driver_version %31s", word) == 1)
        strcpy(draft.driver_version, word);
    else if (sscanf(line, "delay_us %u", &a) == 1)
        draft.delay_us = a;
    else if (sscanf(line, "burn_us %u", &a) == 1)
        draft.burn_us = a;
    else if (sscanf(line, "time %lf", &value) == 1)
        draft.time_s = value;
    else if (sscanf(line, "xid %u %llu", &gpu, &wide) == 2 && draft.event_count < MAX_EVENTS)
        draft.events[draft.event_count++] = (xid_event){gpu, wide};
    if (sscanf(line, "%*s %u", &gpu) != 1 || gpu >= MAX_GPUS)
        return;

    gpu_state *state = &draft.gpu[gpu];
    if (!strncmp(line, "lost ", 5))
        state->lost = 1;
    else if (!strncmp(line, "stuck ", 6))
        state->stuck = 1;
    else if (!strncmp(line, "vanished ", 9))
        state->vanished = 1;
    else if (sscanf(line, "set %u %63s %lf", &gpu, word, &value) == 3) {
        int which = figure_named(word);
        if (which >= 0) {
            state->set[which] = 1;
            state->figures[which] = value;
        }
    } else if (sscanf(line, "fail %u %63s %u", &gpu, word, &a) == 3) {
        failure *entry = &state->failures[state->failure_count % MAX_FAILURES];
        strcpy(entry->function, word);
        entry->result = (int)a;
        state->failure_count++;
    } else if (sscanf(line, "fail_field %u %u %u", &gpu, &a, &b) == 3) {
        failure *entry = &state->failures[state->failure_count % MAX_FAILURES];
        entry->field = a;
        entry->result = (int)b;
        state->failure_count++;
    } else if (sscanf(line, "link_down %u %u", &gpu, &a) == 2 && a < MAX_LINKS)
        state->link_down[a] = 1;
    else if (sscanf(line, "link_errors %u %u %llu", &gpu, &a, &wide) == 3 && a < MAX_LINKS)
        state->link_errors[a] = wide;
    else if (sscanf(line, "slice %u %u %u %u %u %u", &gpu, &a, &b, &c, &d, &e) == 6 &&
             state->slice_count < MAX_SLICES)
        state->slices[state->slice_count++] = (slice_state){a, b, c, d, e};
    else if (sscanf(line, "process %u %u %llu %c %u %u", &gpu, &a, &wide, &kind, &b, &c) >= 4 &&
             state->process_count < MAX_PROCESSES)
        state->processes[state->process_count++] = (process_state){a, wide, b, c, kind};
}

static void read_text(void) {
    char line[256];
    draft = (box_state){.gpus = 10, .links = 12, .time_s = -1, .driver_version = "580.105.08"};
    for (const char *at = text, *end = text + text_size; at < end && *at;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((stop ? stop : end) - at);
        if (size < sizeof line) {
            memcpy(line, at, size);
            line[size] = 0;
            read_line(line);
        }
        at += size + 1;
    }
    box = draft;
}

/* Maps the files that the environment names now; a process may change its mind between two inits. */
void control_open(void) {
    const char *path = getenv("COCKPIT_STANDIN");
    pthread_mutex_lock(&lock);
    if (!path || !strcmp(path, opened)) {
        pthread_mutex_unlock(&lock);
        return;
    }
    /* Old maps stay: another thread may be inside a call that reads them. */
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts;
    if (file >= 0 && !fstat(file, &facts) && facts.st_size > 0) {
        void *map = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_SHARED, file, 0);
        if (map != MAP_FAILED) {
            text = map;
            text_size = (size_t)facts.st_size;
            memset(stamp, 0, sizeof stamp);
        }
    }
    if (file >= 0)
        close(file);

    char name[4200];
    snprintf(name, sizeof name, "%s.calls", path);
    int calls = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (calls >= 0 && !ftruncate(calls, COUNT_ROWS * sizeof(count_row))) {
        void *map = mmap(NULL, COUNT_ROWS * sizeof(count_row), PROT_READ | PROT_WRITE, MAP_SHARED,
                         calls, 0);
        if (map != MAP_FAILED) {
            counts = map;
            counts_file = calls;
        }
    }
    snprintf(opened, sizeof opened, "%s", path);
    pthread_mutex_unlock(&lock);
}

void control_refresh(void) {
    if (!text || text_size < STAMP_SIZE || !memcmp(text, stamp, STAMP_SIZE))
        return;
    pthread_mutex_lock(&lock);
    if (memcmp(text, stamp, STAMP_SIZE)) {
        char seen[STAMP_SIZE];
        memcpy(seen, text, STAMP_SIZE);
        read_text();
        memcpy(stamp, seen, STAMP_SIZE);
    }
    pthread_mutex_unlock(&lock);
}

double steady_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Sleeps until the control file is written to: as a real driver's wait, it costs nothing. */
void control_wait(double seconds) {
    char news[4096];
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct pollfd ready = {watch, POLLIN, 0};
    if (watch >= 0 && opened[0])
        inotify_add_watch(watch, opened, IN_MODIFY);
    /* What was written before the watch began is seen now. */
    if (!text || !memcmp(text, stamp, STAMP_SIZE))
        if (poll(&ready, 1, (int)(seconds * 1e3) + 1) > 0 && read(watch, news, sizeof news) < 0)
            nap_us(1000);
    close(watch);
}

double now_s(void) {
    struct timespec now;
    if (box.time_s >= 0)
        return box.time_s;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)(now.tv_sec - 1760000000) + (double)now.tv_nsec * 1e-9;
}

u64 now_us(void) { return (u64)(now_s() * 1e6); }

static int row_of(const char *name) {
    int row = 0;
    flock(counts_file, LOCK_EX);
    while (row < COUNT_ROWS - 1 && counts[row].name[0] && strcmp(counts[row].name, name))
        row++;
    snprintf(counts[row].name, sizeof counts[row].name, "%s", name);
    flock(counts_file, LOCK_UN);
    return row;
}

void count_call(int *slot, const char *name) {
    if (!counts)
        return;
    /* A slot found in another control file's counts is found again. */
    if (*slot < 0 || strcmp(counts[*slot].name, name)) {
        pthread_mutex_lock(&lock);
        *slot = row_of(name);
        pthread_mutex_unlock(&lock);
    }
    __atomic_fetch_add(&counts[*slot].count, 1, __ATOMIC_RELAXED);
}

void nap_us(u32 us) {
    struct timespec nap = {us / 1000000, (long)(us % 1000000) * 1000};
    nanosleep(&nap, NULL);
}

/* What a real driver costs: time asleep in the kernel, and time that burns the CPU. */
void spend_time(void) {
    if (box.delay_us)
        nap_us(box.delay_us);
    for (double until = steady_s() + box.burn_us * 1e-6; box.burn_us && steady_s() < until;)
        ;
}
