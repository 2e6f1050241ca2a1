/* The pipeline of `senvec embed`.
 *
 *     reader thread  --texts-->  windows  --vectors-->  writer thread
 *                                  |
 *                          the caller: senvec_embed
 *
 * WINDOWS windows go round. Each is filled by the reader, computed by the caller and written by the writer, in this order and
 * in the order of their numbers:   written <= computed <= filling < written + WINDOWS.
 * The caller doesn't wait for a full window: when it is idle it takes what has been read, be it one text. A file is read so
 * much faster than it is computed that all windows but the first are full; a slow pipe gets its answer at once.
 *
 * Bytes are bounded as well as texts: of texts that wait there are at most MAX_WAITING bytes, except for a single longer one.
 */
#include "cli/stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/human.h"
#include "cli/progress.h"
#include "common/clock.h"

enum { WINDOWS = 3, WINDOW_TEXTS = 512 };
#define WINDOW_BYTES ((size_t)64 << 10) /* about 15,000 tokens: long texts must not keep the progress bar waiting */
#define WINDOW_KEPT_BYTES ((size_t)1 << 20)
#define MAX_WAITING ((size_t)4 << 20)

typedef struct window {
    char *bytes; /* the texts end to end */
    size_t used, capacity;
    size_t count;
    size_t ends[WINDOW_TEXTS];      /* of each text in `bytes` */
    uint64_t indices[WINDOW_TEXTS]; /* numbers of the records, from 0, over all files */
    sv_keep_buffer kept;            /* kept fields end to end; the writer empties it */
    size_t kept_ends[WINDOW_TEXTS]; /* of each text's in it */
    uint64_t position;              /* bytes of input up to here */
    float *vectors;                 /* (WINDOW_TEXTS, dimensions) */
} window;

typedef struct pipeline {
    const sv_stream *stream;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    window windows[WINDOWS];
    uint64_t filling, computed, written; /* numbers of windows; number n lies in windows[n % WINDOWS] */
    size_t waiting;                      /* bytes of texts that are not computed */
    bool ended;                          /* the reader will bring no more */
    atomic_bool stopped;                 /* something failed: everybody leaves */
    senvec_status read_status, write_status;
    senvec_error read_error, write_error;
    sv_stream_result *result;        /* the reader adds what it skipped */
    senvec_text texts[WINDOW_TEXTS]; /* of the window that is being computed */
} pipeline;

/* ----------------------------------------------------------------- reader */

/* Whether the reader must wait before it appends `length` bytes. */
static bool no_room(const pipeline *p, size_t length) {
    return p->filling >= p->written + WINDOWS || (p->waiting > 0 && p->waiting + length > MAX_WAITING);
}

/* A text and what goes with its vector. */
typedef struct item {
    senvec_text text;
    senvec_text kept;
    uint64_t index, position;
} item;

/* Appends bytes to a window's buffer. */
static bool add_kept(sv_keep_buffer *buffer, senvec_text bytes) {
    if (bytes.length > buffer->capacity - buffer->length) {
        size_t capacity = 2 * (buffer->length + bytes.length);
        char *data = realloc(buffer->data, capacity);
        if (!data)
            return false;
        buffer->data = data;
        buffer->capacity = capacity;
    }
    if (bytes.length)
        memcpy(buffer->data + buffer->length, bytes.data, bytes.length);
    buffer->length += bytes.length;
    return true;
}

static senvec_status append(pipeline *p, const item *it, senvec_error *err) {
    senvec_status status = SENVEC_OK;
    senvec_text text = it->text;
    pthread_mutex_lock(&p->lock);
    const window *last = &p->windows[p->filling % WINDOWS];
    if (p->filling < p->written + WINDOWS && last->count > 0 &&
        (last->count == WINDOW_TEXTS || last->used + text.length > WINDOW_BYTES || last->kept.length > WINDOW_KEPT_BYTES))
        p->filling++;
    while (!p->stopped && no_room(p, text.length))
        pthread_cond_wait(&p->changed, &p->lock);
    window *w = &p->windows[p->filling % WINDOWS];
    if (w->used + text.length > w->capacity) {
        size_t capacity = w->used + text.length > WINDOW_BYTES ? w->used + text.length : WINDOW_BYTES;
        char *bytes = realloc(w->bytes, capacity);
        if (bytes) {
            w->bytes = bytes;
            w->capacity = capacity;
        } else {
            status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a text of %zu bytes", text.length);
        }
    }
    if (status == SENVEC_OK && !add_kept(&w->kept, it->kept))
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for kept fields of %zu bytes", it->kept.length);
    if (status == SENVEC_OK && !p->stopped) {
        if (text.length > 0)
            memcpy(w->bytes + w->used, text.data, text.length);
        w->used += text.length;
        w->kept_ends[w->count] = w->kept.length;
        w->indices[w->count] = it->index;
        w->ends[w->count++] = w->used;
        w->position = it->position;
        p->waiting += text.length;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return status;
}

/* sv_corpus_next, during which alone the thread may be cancelled: a terminal or pipe may keep it for ever. */
static senvec_status next_text(sv_corpus *corpus, senvec_text *text, bool *more, senvec_error *err) {
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
    senvec_status status = sv_corpus_next(corpus, text, more, err);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return status;
}

/* Where the reader is in all of the files, and what it has of the current record's kept fields. */
typedef struct reading {
    uint64_t position, records; /* bytes and records of the files before */
    uint64_t selected;          /* records so far whose vectors are wanted */
    sv_keep_buffer kept;
} reading;

static void count_skipped(sv_stream_result *result, const sv_corpus *corpus) {
    const char *first;
    uint64_t skipped = sv_corpus_skipped(corpus, &first);
    if (skipped && result->skipped == 0)
        snprintf(result->first_skipped, sizeof result->first_skipped, "%s", first);
    result->skipped += skipped;
}

static senvec_status read_file(pipeline *p, const char *path, reading *r, senvec_error *err) {
    const sv_stream *stream = p->stream;
    sv_corpus *corpus;
    SENVEC_TRY(sv_text_open(path, stream->text, &corpus, err));
    senvec_status status;
    item it = {0};
    bool more;
    uint64_t done = 0, total;
    while ((status = next_text(corpus, &it.text, &more, err)) == SENVEC_OK && more && !p->stopped) {
        sv_corpus_progress(corpus, &done, &total);
        it.index = r->records + sv_corpus_records(corpus) - 1;
        it.position = r->position + done;
        if (it.index % stream->shards != stream->shard)
            continue;
        if (r->selected++ < stream->done)
            continue;
        r->kept.length = 0;
        status = sv_keep_append(stream->keep, stream->format, corpus, &r->kept, err);
        it.kept = (senvec_text){r->kept.data, r->kept.length};
        if (status == SENVEC_OK)
            status = append(p, &it, err);
        if (status != SENVEC_OK)
            break;
    }
    r->position += done;
    r->records += sv_corpus_records(corpus);
    count_skipped(p->result, corpus);
    sv_corpus_close(corpus);
    return status;
}

static void *run_reader(void *context) {
    pipeline *p = context;
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    senvec_status status = SENVEC_OK;
    reading r = {0};
    for (size_t i = 0; i < p->stream->path_count && status == SENVEC_OK; i++)
        status = read_file(p, p->stream->paths[i], &r, &p->read_error);
    free(r.kept.data);
    pthread_mutex_lock(&p->lock);
    p->read_status = status;
    p->ended = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ----------------------------------------------------------------- writer */

static senvec_status write_rows(const sv_stream *stream, const sv_output_rows *rows, bool last, senvec_error *err) {
    if (!stream->output)
        return sv_parts_write(stream->parts, rows, err);
    SENVEC_TRY(sv_output_write(stream->output, rows, err));
    return last ? sv_output_flush(stream->output, err) : SENVEC_OK;
}

static void *run_writer(void *context) {
    pipeline *p = context;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->written == p->computed && !p->stopped)
            pthread_cond_wait(&p->changed, &p->lock);
        if (p->written == p->computed)
            break;
        window *w = &p->windows[p->written % WINDOWS];
        bool last = p->written + 1 == p->computed;
        pthread_mutex_unlock(&p->lock);
        const sv_output_rows rows = {
            .vectors = w->vectors,
            .count = w->count,
            .stride = p->stream->dimensions,
            .indices = w->indices,
            .kept = w->kept.data,
            .kept_ends = p->stream->keep->count ? w->kept_ends : NULL,
        };
        senvec_status status = write_rows(p->stream, &rows, last, &p->write_error);
        pthread_mutex_lock(&p->lock);
        w->count = 0;
        w->kept.length = 0;
        p->written++;
        if (status != SENVEC_OK) {
            p->write_status = status;
            p->stopped = true;
        }
        pthread_cond_broadcast(&p->changed);
        if (status != SENVEC_OK)
            break;
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---------------------------------------------------------------- computer */

/* Takes the next window, waiting for its first text; NULL at the end. */
static window *take_window(pipeline *p) {
    pthread_mutex_lock(&p->lock);
    window *w = &p->windows[p->computed % WINDOWS];
    /* A window that is still to be written belongs to the writer, whatever its count. */
    while (!p->stopped && !(p->computed < p->written + WINDOWS && w->count > 0) && !p->ended)
        pthread_cond_wait(&p->changed, &p->lock);
    while (!p->stopped && p->computed >= p->written + WINDOWS) /* at the end, too */
        pthread_cond_wait(&p->changed, &p->lock);
    bool taken = !p->stopped && w->count > 0;
    if (taken && p->filling == p->computed)
        p->filling++; /* the reader goes on with the next one */
    pthread_mutex_unlock(&p->lock);
    return taken ? w : NULL;
}

static void give_window(pipeline *p, window *w) {
    pthread_mutex_lock(&p->lock);
    p->waiting -= w->used;
    w->used = 0;
    if (w->capacity > WINDOW_BYTES) {
        free(w->bytes);
        w->bytes = NULL;
        w->capacity = 0;
    }
    p->computed++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* Bytes of all files, 0 if one of them has no size. */
static uint64_t total_bytes(const sv_stream *stream) {
    uint64_t total = 0;
    for (size_t i = 0; i < stream->path_count; i++) {
        struct stat facts;
        int code = strcmp(stream->paths[i], "-") == 0 ? fstat(STDIN_FILENO, &facts) : stat(stream->paths[i], &facts);
        if (code != 0 || !S_ISREG(facts.st_mode))
            return 0;
        total += (uint64_t)facts.st_size;
    }
    return total;
}

static void show(sv_progress *progress, const sv_stream_result *result, uint64_t position, uint64_t total) {
    double seconds = sv_progress_seconds(progress);
    sv_progress_update(progress, total ? (double)position / (double)total : -1, "%s texts  %s texts/s  %s tokens/s",
                       sv_human_count((char[SV_HUMAN]){0}, result->texts),
                       sv_human_rate((char[SV_HUMAN]){0}, (double)result->texts / seconds),
                       sv_human_rate((char[SV_HUMAN]){0}, (double)result->stats.tokens / seconds));
}

static senvec_status compute(pipeline *p, sv_stream_result *result, senvec_error *err) {
    const sv_stream *stream = p->stream;
    sv_progress progress;
    sv_progress_begin(&progress, "embed", stream->quiet || stream->bare);
    uint64_t total = total_bytes(stream);
    senvec_status status = SENVEC_OK;
    window *w;
    while (status == SENVEC_OK && (w = take_window(p))) {
        for (size_t i = 0; i < w->count; i++) {
            size_t begin = i ? w->ends[i - 1] : 0;
            p->texts[i] = (senvec_text){w->bytes + begin, w->ends[i] - begin};
        }
        uint64_t begun = sv_clock_ns();
        status = stream->compute(stream->context, p->texts, w->count, &stream->embed, w->vectors, stream->dimensions,
                                 &result->stats, err);
        result->computing += (double)(sv_clock_ns() - begun) / (double)SV_NS_PER_S;
        if (status != SENVEC_OK)
            break;
        result->texts += w->count;
        uint64_t position = w->position;
        give_window(p, w);
        show(&progress, result, position, total);
    }
    sv_progress_end(&progress);
    result->seconds = sv_progress_seconds(&progress);
    return status;
}

/* --------------------------------------------------------------- assembly */

static void release(pipeline *p) {
    for (size_t i = 0; i < WINDOWS; i++) {
        free(p->windows[i].bytes);
        free(p->windows[i].vectors);
        free(p->windows[i].kept.data);
    }
    free(p);
}

static senvec_status prepare(const sv_stream *stream, pipeline **out, senvec_error *err) {
    pipeline *p = calloc(1, sizeof *p);
    bool complete = p != NULL;
    for (size_t i = 0; complete && i < WINDOWS; i++) {
        window *w = &p->windows[i];
        w->vectors = malloc(WINDOW_TEXTS * stream->dimensions * sizeof *w->vectors);
        w->bytes = malloc(WINDOW_BYTES);
        w->capacity = WINDOW_BYTES;
        complete = w->vectors && w->bytes;
    }
    if (!complete) {
        if (p)
            release(p);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %d windows of %d texts", WINDOWS, WINDOW_TEXTS);
    }
    p->stream = stream;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    *out = p;
    return SENVEC_OK;
}

/* Waits until everything is written, or tells the writer to leave. */
static void finish(pipeline *p, bool complete) {
    pthread_mutex_lock(&p->lock);
    while (complete && p->written < p->computed && !p->stopped)
        pthread_cond_wait(&p->changed, &p->lock);
    p->stopped = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

senvec_status sv_stream_run(const sv_stream *stream, sv_stream_result *result, senvec_error *err) {
    pipeline *p = NULL;
    pthread_t reader, writer;
    SENVEC_TRY(prepare(stream, &p, err));
    *result = (sv_stream_result){0};
    p->result = result;
    if (pthread_create(&writer, NULL, run_writer, p) != 0) {
        release(p);
        return sv_fail(err, SENVEC_SYSTEM, 0, "no thread to write with");
    }
    if (pthread_create(&reader, NULL, run_reader, p) != 0) {
        finish(p, false);
        pthread_join(writer, NULL);
        release(p);
        return sv_fail(err, SENVEC_SYSTEM, 0, "no thread to read with");
    }
    senvec_status status = compute(p, result, err);
    finish(p, status == SENVEC_OK);
    pthread_cancel(reader);
    pthread_join(reader, NULL);
    pthread_join(writer, NULL);
    if (status == SENVEC_OK && p->write_status != SENVEC_OK) {
        status = p->write_status;
        *err = p->write_error;
    } else if (status == SENVEC_OK && p->read_status != SENVEC_OK) {
        status = p->read_status;
        *err = p->read_error;
    }
    release(p);
    return status;
}
