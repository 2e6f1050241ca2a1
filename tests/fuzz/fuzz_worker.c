/* Replies of workers: whatever they say, a study of two rows loads, measures, validates and writes its files; a row whose
 * worker makes no sense is given up with a reason, and the study goes on.
 *
 * An input is what the workers write on their standard output, in the order of the requests, the first one's before a line "--"
 * and the second one's behind it; then comes the end. With a '!' before all that, nobody writes vectors. There are no
 * processes, the clock goes on by ten seconds each time that it is asked, and what the machine can do isn't measured: linked
 * with --wrap for each function that has __wrap_ here. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "peak/peak.h"
#include "study/runner.h"
#include "support/test_models.h"
#include "system/process.h"
#include "system/temporary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS = 2, DIMENSIONS = 4, TEXTS = 5, FIRST_PROCESS = 1 << 30 /* over any kernel's highest */ };

static struct {
    const char *text;
    size_t length;
} inputs[ROWS];
static int channels[ROWS]; /* the workers' ends; -1: closed */
static size_t started;

static void require(int kept) {
    if (!kept)
        abort();
}

static void succeeds(senvec_status status, const senvec_error *err) {
    if (status == SENVEC_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    abort();
}

/* ------------------------------------------------------------------ in the place of processes, clock and machine */

senvec_status __wrap_sv_process_start(const sv_process_options *options, pid_t *out, senvec_error *err);
int __wrap_sv_process_kill(pid_t process);
bool __wrap_sv_process_wait_for(pid_t process, double seconds, int *wait_status);
uint64_t __wrap_sv_process_peak_rss(pid_t process);
int __wrap_clock_gettime(clockid_t id, struct timespec *out);
int __wrap_usleep(useconds_t time);
int __wrap_unlink(const char *path);
int __wrap_fsync(int descriptor);
double __wrap_sv_peak_gmacs(sv_peak_kind kind, sv_isa_flags flags, size_t threads, unsigned milliseconds, const char **name);
double __wrap_sv_read_bandwidth(size_t bytes, size_t threads, unsigned milliseconds);

senvec_status __wrap_sv_process_start(const sv_process_options *options, pid_t *out, senvec_error *err) {
    (void)err;
    require(started < ROWS);
    channels[started] = dup(options->descriptors[1]);
    require(channels[started] >= 0);
    for (size_t at = 0; at < inputs[started].length;) {
        ssize_t sent = send(channels[started], inputs[started].text + at, inputs[started].length - at, MSG_NOSIGNAL);
        require(sent > 0);
        at += (size_t)sent;
    }
    shutdown(channels[started], SHUT_WR);
    *out = FIRST_PROCESS + (pid_t)started++;
    return SENVEC_OK;
}

static void close_channel(pid_t process) {
    int *channel = &channels[process - FIRST_PROCESS];
    if (*channel >= 0)
        close(*channel);
    *channel = -1;
}

int __wrap_sv_process_kill(pid_t process) {
    close_channel(process);
    return 0;
}

bool __wrap_sv_process_wait_for(pid_t process, double seconds, int *wait_status) {
    (void)seconds;
    close_channel(process);
    if (wait_status)
        *wait_status = 0;
    return true;
}

uint64_t __wrap_sv_process_peak_rss(pid_t process) {
    (void)process;
    return 1 << 20;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *out) {
    static uint64_t now;
    (void)id;
    *out = sv_clock_timespec(now += 10 * SV_NS_PER_S);
    return 0;
}

int __wrap_usleep(useconds_t time) {
    (void)time;
    return 0;
}

int __wrap_unlink(const char *path) { /* the vectors stay */
    (void)path;
    return 0;
}

int __wrap_fsync(int descriptor) {
    (void)descriptor;
    return 0;
}

double __wrap_sv_peak_gmacs(sv_peak_kind kind, sv_isa_flags flags, size_t threads, unsigned milliseconds, const char **name) {
    (void)kind, (void)flags, (void)threads, (void)milliseconds, (void)name;
    return 100;
}

double __wrap_sv_read_bandwidth(size_t bytes, size_t threads, unsigned milliseconds) {
    (void)bytes, (void)threads, (void)milliseconds;
    return 10;
}

/* ------------------------------------------------------------------ the target */

/* What each worker says, and the vectors that it may say it has written. */
static void divide(const char *text, size_t length) {
    float vectors[TEXTS * DIMENSIONS];
    for (size_t i = 0; i < TEXTS * DIMENSIONS; i++)
        vectors[i] = (float)(i * 7 % 5) - 1.5f;
    bool none = length && text[0] == '!';
    test_write(test_path("scratch/vectors.f32"), vectors, sizeof vectors);
    if (none)
        remove(test_path("scratch/vectors.f32"));
    text += none;
    length -= none;
    const char *end = length ? memmem(text, length, "\n--\n", 4) : NULL;
    size_t first = end ? (size_t)(end - text) + 1 : length, second = end ? first + 3 : 0;
    inputs[0].text = text;
    inputs[0].length = first;
    inputs[1].text = text + second;
    inputs[1].length = length - second;
}

static void study(sv_results *results, const sv_texts *texts) {
    static char model[SV_MAX_PATH], files[SV_MAX_PATH], scratch[SV_MAX_PATH];
    snprintf(model, sizeof model, "%s", TEST_TINY_MODEL);
    snprintf(files, sizeof files, "%s", test_path("files"));
    snprintf(scratch, sizeof scratch, "%s", test_path("scratch"));
    const sv_runner_options options = {.model = model,
                                       .files = files,
                                       .native = "native",
                                       .python = "python",
                                       .worker_script = "worker.py",
                                       .texts = texts,
                                       .scratch = scratch,
                                       .timeout_s = 1e8,
                                       .rounds = 2,
                                       .seed = 1};
    sv_runner *runner;
    senvec_error err = {0};
    succeeds(sv_runner_open(results, &options, &runner, &err), &err);
    const sv_measuring what = {.bench = true, .lengths = true, .length_calls = 2, .length_seconds = 0.1, .quick = true};
    succeeds(sv_runner_measure(runner, &what, &err), &err);
    succeeds(sv_runner_validate(runner, TEXTS, &err), &err);
    sv_runner_close(runner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const sv_configuration rows[ROWS] = {{"PyTorch (single)", "torch", "fp32", "the baseline", "", 1},
                                                {"senvec fp32 (batch=2)", "senvec", "fp32", "the engine", "", 2}};
    const sv_configuration *const configurations[ROWS] = {&rows[0], &rows[1]};
    sv_results results;
    sv_texts texts;
    senvec_error err = {0};
    if (size > 1 << 16)
        return 0;
    divide((const char *)data, size);
    started = 0;
    succeeds(sv_texts_load(&texts, NULL, NULL, TEXTS, 1, &err), &err);
    succeeds(sv_results_init(&results, &err), &err);
    succeeds(sv_results_plan(&results, configurations, ROWS, &err), &err);
    results.threads = 1;
    require(sv_remove_tree(test_path("files"), &err) == SENVEC_OK); /* to replace a file may wait for the disk */
    require(sv_make_directories(test_path("files"), &err) == SENVEC_OK);
    results.rounds = 2;
    results.latency_calls = 4;
    results.duration_s = 0.2;
    results.price_per_hour = 0.05;
    study(&results, &texts);
    for (size_t i = 0; i < ROWS; i++)
        require(results.rows[i].state == SV_ROW_MEASURED || results.rows[i].reason[0]);
    succeeds(sv_results_write(&results, test_path("files"), &err), &err);
    sv_results_release(&results);
    sv_texts_release(&texts);
    for (size_t i = 0; i < ROWS; i++)
        require(channels[i] < 0 || i >= started);
    return 0;
}
