/* The manifest is appended to with single writes: a line that a crash or a full disk has cut off has no end and is cut away by
 * the next run. A lock (flock) on it keeps two runs out of one folder. */
#include "cli/parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/file.h"
#include "common/sha256.h"

#define MANIFEST "manifest.jsonl"
enum { SAMPLES = 64, SAMPLE_BYTES = 64 << 10 };

struct sv_parts {
    char directory[SV_MAX_PATH], manifest[SV_MAX_PATH];
    int descriptor; /* of the manifest */
    sv_output_options options;
    uint64_t rows;     /* of a part */
    uint64_t part;     /* the number of the one that is written, or of the next */
    uint64_t count;    /* rows that it has */
    sv_output *output; /* NULL between parts */
    char path[SV_MAX_PATH], name[64];
};

json_t *sv_parts_text(const char *text) {
    if (!text)
        return json_null();
    json_t *made = json_string(text);
    if (made)
        return made;
    char *copy = strdup(text);
    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    made = json_string(copy ? copy : "");
    free(copy);
    return made;
}

senvec_status sv_parts_fingerprint(const char *path, json_t **out, senvec_error *err) {
    const char *slash = strrchr(path, '/');
    json_t *made = json_pack("{s:o}", "name", sv_parts_text(slash ? slash + 1 : path));
    if (strcmp(path, "-") != 0) {
        sv_file_map map;
        senvec_status status = sv_file_map_open(path, &map, err);
        if (status != SENVEC_OK) {
            json_decref(made);
            return status;
        }
        sv_sha256 hash;
        char text[SV_SHA256_TEXT];
        sv_sha256_init(&hash);
        bool whole = map.size <= (size_t)SAMPLES * SAMPLE_BYTES;
        for (size_t i = 0; i < SAMPLES; i++) {
            size_t at = whole ? i * SAMPLE_BYTES : (size_t)((uint64_t)(map.size - SAMPLE_BYTES) * i / (SAMPLES - 1));
            if (at < map.size)
                sv_sha256_add(&hash, map.data + at, map.size - at < SAMPLE_BYTES ? map.size - at : SAMPLE_BYTES);
        }
        sv_sha256_end_text(&hash, text);
        json_object_set_new(made, "size", json_integer((json_int_t)map.size));
        json_object_set_new(made, "sha256_of_samples", json_string(text));
        sv_file_map_close(&map);
    }
    *out = made;
    return SENVEC_OK;
}

/* ---------------------------------------------------------------- manifest */

static senvec_status fail_system(const char *path, const char *doing, senvec_error *err) {
    return sv_fail(err, SENVEC_IO, 0, "%s: %s failed: %s", path, doing, strerror(errno));
}

/* Adds a line, whole or not at all, and flushes it and the folder, which has the new part's name, to the disk. */
static senvec_status add_line(const sv_parts *parts, const json_t *record, senvec_error *err) {
    off_t before = lseek(parts->descriptor, 0, SEEK_END);
    char *text = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
    size_t length = strlen(text), written = 0;
    text[length++] = '\n'; /* in place of the NUL */
    senvec_status status = SENVEC_OK;
    while (status == SENVEC_OK && written < length) {
        ssize_t count = write(parts->descriptor, text + written, length - written);
        if (count < 0 && errno != EINTR)
            status = fail_system(parts->manifest, "writing", err);
        written += count > 0 ? (size_t)count : 0;
    }
    if (status == SENVEC_OK && fsync(parts->descriptor) != 0)
        status = fail_system(parts->manifest, "writing", err);
    if (status != SENVEC_OK && ftruncate(parts->descriptor, before) != 0)
        (void)0; /* the next run cuts it away */
    free(text);
    int folder = status == SENVEC_OK ? open(parts->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder >= 0) {
        fsync(folder); /* where a filesystem can't, nothing is lost but by a power cut */
        close(folder);
    }
    return status;
}

/* Whether a folder has files, a temporary of a run that never began aside. */
static bool has_files(const char *directory) {
    DIR *entries = opendir(directory);
    bool found = false;
    const struct dirent *entry;
    while (entries && !found && (entry = readdir(entries)))
        found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (entries)
        closedir(entries);
    return found;
}

/* The first line has to say the same of this run. */
static senvec_status check_run(const sv_parts *parts, const json_t *before, json_t *run, senvec_error *err) {
    const char *name;
    json_t *value;
    json_object_foreach(run, name, value) {
        if (json_equal(json_object_get(before, name), value))
            continue;
        char *old = json_dumps(json_object_get(before, name), JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
        char *new = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
        senvec_status status = sv_fail(
            err, SENVEC_INVALID_ARGUMENT, 0,
            "%s: that run had another %s (%.160s, now %.160s); its parts and new ones wouldn't agree: give a new folder",
            parts->directory, name, old ? old : "none", new);
        free(old);
        free(new);
        return status;
    }
    return SENVEC_OK;
}

/* A part's line: the next number, and a file that is there. */
static senvec_status take_part(sv_parts *parts, const json_t *line, uint64_t *done, senvec_error *err) {
    const char *file;
    json_int_t part, rows;
    if (json_unpack((json_t *)line, "{s:I, s:s, s:I}", "shard", &part, "file", &file, "rows", &rows) != 0 ||
        (uint64_t)part != parts->part || rows < 1 || (uint64_t)rows > parts->rows || *done % parts->rows || strchr(file, '/'))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: the line of part %" PRIu64 " isn't one that this command wrote",
                       parts->manifest, parts->part);
    SENVEC_TRY(sv_path_join(parts->directory, file, parts->path, err));
    if (!sv_path_is_file(parts->path))
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: missing, though the manifest has it; give a new folder", parts->path);
    parts->part++;
    *done += (uint64_t)rows;
    return SENVEC_OK;
}

/* Reads the manifest of an earlier run. `text` is whole lines. */
static senvec_status read_manifest(sv_parts *parts, char *text, json_t *run, uint64_t *done, senvec_error *err) {
    senvec_status status = SENVEC_OK;
    size_t number = 0;
    for (char *line = text, *end; status == SENVEC_OK && (end = strchr(line, '\n')); line = end + 1, number++) {
        json_t *value = json_loadb(line, (size_t)(end - line), 0, NULL);
        if (!json_is_object(value))
            status = sv_fail(err, SENVEC_FORMAT, 0, "%s: line %zu isn't a JSON object", parts->manifest, number + 1);
        else
            status = number == 0 ? check_run(parts, value, run, err) : take_part(parts, value, done, err);
        json_decref(value);
    }
    return status == SENVEC_OK && number == 0 ? add_line(parts, run, err) : status;
}

/* The manifest's whole lines, for the caller to free; what follows the last one is cut away. */
static senvec_status load_manifest(const sv_parts *parts, char **out, senvec_error *err) {
    off_t size = lseek(parts->descriptor, 0, SEEK_END);
    char *text = size >= 0 ? malloc((size_t)size + 1) : NULL;
    if (!text)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory to read it", parts->manifest);
    size_t length = 0;
    ssize_t count;
    while (length < (size_t)size && (count = pread(parts->descriptor, text + length, (size_t)size - length, (off_t)length)) > 0)
        length += (size_t)count;
    while (length > 0 && text[length - 1] != '\n')
        length--;
    text[length] = '\0';
    if (length < (size_t)size && ftruncate(parts->descriptor, (off_t)length) != 0) {
        free(text);
        return fail_system(parts->manifest, "cutting away a broken line", err);
    }
    *out = text;
    return SENVEC_OK;
}

static senvec_status take_up(sv_parts *parts, json_t *run, bool resume, uint64_t *done, senvec_error *err) {
    SENVEC_TRY(sv_make_directories(parts->directory, err));
    SENVEC_TRY(sv_path_join(parts->directory, MANIFEST, parts->manifest, err));
    bool begun = sv_path_is_file(parts->manifest);
    if (!begun && has_files(parts->directory))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: not empty, and without a " MANIFEST "; give a new folder",
                       parts->directory);
    if (begun && !resume)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: holds a run; go on with --resume, or give a new folder",
                       parts->directory);
    parts->descriptor = open(parts->manifest, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (parts->descriptor < 0)
        return fail_system(parts->manifest, "opening it", err);
    if (flock(parts->descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return sv_fail(err, SENVEC_SYSTEM, 0, "%s: another process writes there; wait for its end, or give a new folder",
                       parts->directory);
    char *text = NULL;
    SENVEC_TRY(load_manifest(parts, &text, err));
    senvec_status status = read_manifest(parts, text, run, done, err);
    free(text);
    return status;
}

/* ------------------------------------------------------------------- parts */

senvec_status sv_parts_open(const char *directory, const sv_output_options *options, uint64_t rows, json_t *run, bool resume,
                            sv_parts **out, uint64_t *done, senvec_error *err) {
    sv_parts *parts = calloc(1, sizeof *parts);
    if (!parts)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the output");
    parts->descriptor = -1;
    parts->options = *options;
    parts->rows = rows;
    snprintf(parts->directory, sizeof parts->directory, "%s", directory);
    *done = 0;
    senvec_status status = take_up(parts, run, resume, done, err);
    if (status == SENVEC_OK)
        *out = parts;
    else
        sv_parts_abort(parts);
    return status;
}

static senvec_status begin_part(sv_parts *parts, senvec_error *err) {
    snprintf(parts->name, sizeof parts->name, "part-%06" PRIu64 ".%s", parts->part, sv_output_choices[parts->options.format]);
    SENVEC_TRY(sv_path_join(parts->directory, parts->name, parts->path, err));
    parts->count = 0;
    return sv_output_open(parts->path, &parts->options, &parts->output, err);
}

static senvec_status end_part(sv_parts *parts, senvec_error *err) {
    sv_output *output = parts->output;
    parts->output = NULL;
    SENVEC_TRY(sv_output_close(output, err));
    sv_file_map map;
    SENVEC_TRY(sv_file_map_open(parts->path, &map, err));
    sv_sha256 hash;
    char text[SV_SHA256_TEXT];
    sv_sha256_init(&hash);
    sv_sha256_add(&hash, map.data, map.size);
    sv_sha256_end_text(&hash, text);
    sv_file_map_close(&map);
    json_t *line = json_pack("{s:I, s:s, s:I, s:s}", "shard", (json_int_t)parts->part, "file", parts->name, "rows",
                             (json_int_t)parts->count, "sha256", text);
    senvec_status status = add_line(parts, line, err);
    json_decref(line);
    parts->part++;
    return status;
}

/* What a failure of writing means for the run. */
static senvec_status say_resume(senvec_status status, senvec_error *err) {
    if (status == SENVEC_IO && err) {
        char why[sizeof err->message];
        snprintf(why, sizeof why, "%s", err->message);
        return sv_fail(err, status, 0, "%.400s; make room if the disk is full, then go on with --resume", why);
    }
    return status;
}

senvec_status sv_parts_write(sv_parts *parts, const sv_output_rows *rows, senvec_error *err) {
    senvec_status status = SENVEC_OK;
    for (size_t at = 0; status == SENVEC_OK && at < rows->count;) {
        if (!parts->output)
            status = begin_part(parts, err);
        if (status != SENVEC_OK)
            break;
        uint64_t room = parts->rows - parts->count;
        size_t count = rows->count - at < room ? rows->count - at : (size_t)room;
        sv_output_rows some = *rows;
        some.vectors += at * rows->stride;
        some.indices += at;
        some.count = count;
        if (rows->kept_ends && at) {
            some.kept_begin = rows->kept_ends[at - 1];
            some.kept_ends += at;
        }
        status = sv_output_write(parts->output, &some, err);
        parts->count += count;
        at += count;
        if (status == SENVEC_OK && parts->count == parts->rows)
            status = end_part(parts, err);
    }
    return say_resume(status, err);
}

senvec_status sv_parts_close(sv_parts *parts, senvec_error *err) {
    senvec_status status = parts->output ? say_resume(end_part(parts, err), err) : SENVEC_OK;
    sv_parts_abort(parts);
    return status;
}

void sv_parts_abort(sv_parts *parts) {
    if (!parts)
        return;
    sv_output_abort(parts->output);
    if (parts->descriptor >= 0)
        close(parts->descriptor);
    free(parts);
}
