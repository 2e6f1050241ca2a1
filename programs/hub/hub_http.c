/* HTTP by libcurl.
 *
 * Redirects are followed here, not by libcurl, because the token's rule is ours: it goes to the endpoint's own scheme, host and
 * port, whatever the redirect. A download appends to its file, so that a cut connection, a stall or the end of the process
 * loses nothing; it asks for the rest with Range and starts over where a server answers with the whole.
 *
 * What is tried again, after a growing pause: a busy or broken server (429, 408, 5xx; Retry-After is honoured), and a
 * connection that ended or fell silent. A server that can't be reached at all is tried once for a question and twice for a
 * file: the caller has another source, and a user who waits. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hub/hub_internal.h"

#define DEFAULT_TIMEOUT 8 /* seconds */
#define MAX_TIMEOUT 3600  /* seconds */
#define MAX_REDIRECTS 10
#define MAX_RETRY_AFTER 30 /* seconds */
#define QUESTION_ATTEMPTS 3
#define FILE_ATTEMPTS 6

struct sv_http {
    CURL *curl;
    CURLU *endpoint;
    char *token;
    long timeout;
};

/* One answer's way into memory or a file. */
typedef struct transfer {
    CURL *curl;
    char *body;        /* memory: grows */
    size_t capacity;   /* of body */
    int descriptor;    /* file: -1 for memory */
    uint64_t received; /* bytes in the body or file */
    uint64_t limit;
    int write_errno;
    bool too_long;
    const char *label;
    const sv_hub_options *options; /* may be NULL */
} transfer;

typedef enum outcome { DONE, AGAIN, START_OVER, UNREACHABLE, FATAL } outcome;

/* ------------------------------------------------------------------------------------------------------------ origin */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static long read_timeout(void) {
    const char *value = getenv("SENVEC_HTTP_TIMEOUT");
    long seconds = value ? strtol(value, NULL, 10) : 0;
    return seconds >= 1 && seconds <= MAX_TIMEOUT ? seconds : DEFAULT_TIMEOUT;
}

senvec_status sv_http_open(const char *endpoint, const char *token, sv_http **out, senvec_error *err) {
    pthread_once(&curl_once, init_curl);
    sv_http *http = calloc(1, sizeof *http);
    if (!http || !(http->curl = curl_easy_init()) || !(http->endpoint = curl_url()) ||
        (token && !(http->token = strdup(token)))) {
        sv_http_close(http);
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a connection");
    }
    http->timeout = read_timeout();
    bool is_http = strncmp(endpoint, "http://", 7) == 0 || strncmp(endpoint, "https://", 8) == 0;
    if (!is_http || curl_url_set(http->endpoint, CURLUPART_URL, endpoint, 0) != CURLUE_OK) {
        sv_http_close(http);
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "HF_ENDPOINT: \"%s\" is no http:// or https:// address", endpoint);
    }
    *out = http;
    return SENVEC_OK;
}

void sv_http_close(sv_http *http) {
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    curl_url_cleanup(http->endpoint);
    free(http->token);
    free(http);
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part, unsigned flags) {
    char *left = NULL, *right = NULL;
    bool same = curl_url_get(a, part, &left, flags) == CURLUE_OK && curl_url_get(b, part, &right, flags) == CURLUE_OK &&
                strcasecmp(left, right) == 0;
    curl_free(left);
    curl_free(right);
    return same;
}

static bool is_own_origin(const sv_http *http, const char *url) {
    CURLU *other = curl_url();
    bool same = other && curl_url_set(other, CURLUPART_URL, url, 0) == CURLUE_OK &&
                same_part(http->endpoint, other, CURLUPART_SCHEME, 0) && same_part(http->endpoint, other, CURLUPART_HOST, 0) &&
                same_part(http->endpoint, other, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    curl_url_cleanup(other);
    return same;
}

/* ------------------------------------------------------------------------------------------------------------ one request */

static bool grow_body(transfer *t, size_t more) {
    size_t needed = (size_t)t->received + more + 1;
    if (needed <= t->capacity)
        return true;
    size_t capacity = needed * 2;
    char *body = realloc(t->body, capacity);
    if (!body)
        return false;
    t->body = body;
    t->capacity = capacity;
    return true;
}

/* libcurl's write callback: takes the body of a good answer; what an error page says is dropped. */
static size_t take_bytes(char *data, size_t size, size_t count, void *context) {
    transfer *t = context;
    size_t length = size * count;
    long code = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    if (code != 200 && code != 206)
        return length;
    if (length > t->limit - t->received) {
        t->too_long = true;
        return 0;
    }
    if (t->descriptor < 0) {
        if (!grow_body(t, length)) {
            t->write_errno = ENOMEM;
            return 0;
        }
        memcpy(t->body + t->received, data, length);
    }
    for (size_t at = 0; t->descriptor >= 0 && at < length;) {
        ssize_t written = write(t->descriptor, data + at, length - at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            t->write_errno = errno;
            return 0;
        }
        at += (size_t)written;
    }
    t->received += length;
    if (t->options && t->options->progress)
        t->options->progress(t->options->context, t->label, t->received, t->limit);
    return length;
}

/* libcurl's header callback: a server that ignored Range sends all, so the file starts over. */
static size_t take_header(char *data, size_t size, size_t count, void *context) {
    transfer *t = context;
    if (size * count >= 9 && strncmp(data, "HTTP/", 5) == 0) {
        const char *code = memchr(data, ' ', size * count);
        if (code && strncmp(code + 1, "200", 3) == 0) {
            t->received = 0;
            if (t->descriptor >= 0 && ftruncate(t->descriptor, 0) != 0)
                t->write_errno = errno;
        }
    }
    return t->write_errno ? 0 : size * count;
}

static outcome judge_code(long code, const char *url, bool sent_token, senvec_error *err) {
    if (code == 200 || code == 206)
        return DONE;
    const char *what = code == 404   ? "no such model or file; check the name"
                       : code == 401 ? sent_token ? "HF_TOKEN was refused" : "no such model, or one that needs HF_TOKEN"
                       : code == 403 ? sent_token ? "HF_TOKEN gives no access; accept the model's terms on the hub"
                                                  : "no access without HF_TOKEN"
                       : code == 429 ? "too many requests; try later"
                                     : "the server's fault or a proxy's; try later";
    sv_fail(err, code == 404 || code == 401 ? SENVEC_NOT_FOUND : SENVEC_NETWORK, 0, "%s: answered %ld: %s", url, code, what);
    return code == 416 ? START_OVER : code == 429 || code == 408 || code >= 500 ? AGAIN : FATAL;
}

static outcome judge_failure(const transfer *t, CURLcode result, const char *url, const char *detail, senvec_error *err) {
    if (t->too_long)
        return sv_fail(err, t->descriptor < 0 ? SENVEC_NETWORK : SENVEC_INTEGRITY, 0, "%s: longer than %s %llu bytes", url,
                       t->descriptor < 0 ? "the limit of" : "its", (unsigned long long)t->limit),
               FATAL;
    if (t->write_errno)
        return sv_fail(err, t->write_errno == ENOMEM ? SENVEC_OUT_OF_MEMORY : SENVEC_IO, 0,
                       "%s: writing failed: %s; what came is kept, and the next try goes on there", t->label,
                       strerror(t->write_errno)),
               FATAL;
    long code = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    sv_fail(err, SENVEC_NETWORK, 0, "%s: %s; check network, proxy and HF_ENDPOINT", url,
            *detail ? detail : curl_easy_strerror(result));
    switch (result) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT:
        return code ? AGAIN : UNREACHABLE;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
        return FATAL;
    default:
        return AGAIN;
    }
}

static void set_options(const sv_http *http, transfer *t, const char *url, char *detail) {
    CURL *curl = http->curl;
    char range[32];
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, strncmp(url, "https:", 6) == 0 ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "senvec/" SENVEC_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* don't wait for a name lookup that was given up */
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, http->timeout);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, http->timeout);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    if (http->token && is_own_origin(http, url)) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, http->token);
    }
    if (t->received && t->descriptor >= 0) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)t->received);
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
    }
}

/* Asks once, through redirects. */
static outcome ask(const sv_http *http, transfer *t, const char *url, senvec_error *err) {
    char *at = strdup(url);
    outcome result = FATAL;
    for (int redirects = 0; at; redirects++) {
        char detail[CURL_ERROR_SIZE] = "";
        long code = 0;
        char *next = NULL;
        set_options(http, t, at, detail);
        CURLcode failure = curl_easy_perform(http->curl);
        curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &code);
        curl_easy_getinfo(http->curl, CURLINFO_REDIRECT_URL, &next);
        if (failure != CURLE_OK) {
            result = judge_failure(t, failure, at, detail, err);
            break;
        }
        if (!next) {
            result = judge_code(code, at, http->token && is_own_origin(http, at), err);
            break;
        }
        if (redirects == MAX_REDIRECTS || (strncmp(at, "https:", 6) == 0 && strncmp(next, "https:", 6) != 0)) {
            sv_fail(err, SENVEC_NETWORK, 0, "%s: %s", url,
                    redirects == MAX_REDIRECTS ? "redirected too often" : "redirected from https to plain http");
            break;
        }
        next = strdup(next);
        free(at);
        at = next;
    }
    if (!at)
        sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory", url);
    free(at);
    return result;
}

/* ------------------------------------------------------------------------------------------------------------ retries */

static void pause_before_retry(const sv_http *http, int attempt) {
    curl_off_t wanted = 0;
    curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &wanted);
    long milliseconds = 500L << attempt;
    if (wanted > 0)
        milliseconds = 1000L * (long)(wanted < MAX_RETRY_AFTER ? wanted : MAX_RETRY_AFTER);
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
}

static senvec_status ask_repeatedly(const sv_http *http, transfer *t, const char *url, int attempts, int unreachable_attempts,
                                    senvec_error *err) {
    senvec_error local;
    if (!err)
        err = &local;
    t->curl = http->curl;
    int unreachable = 0;
    for (int attempt = 0;; attempt++) {
        outcome result = ask(http, t, url, err);
        if (result == DONE)
            return SENVEC_OK;
        if (result == START_OVER && t->received) {
            t->received = 0;
            if (ftruncate(t->descriptor, 0) != 0)
                return sv_fail(err, SENVEC_IO, 0, "%s: %s", t->label, strerror(errno));
        }
        unreachable += result == UNREACHABLE;
        if (result == FATAL || attempt + 1 >= attempts || unreachable >= unreachable_attempts)
            return err->code;
        pause_before_retry(http, attempt);
    }
}

senvec_status sv_http_get(sv_http *http, const char *url, char **body, size_t *length, senvec_error *err) {
    transfer t = {.descriptor = -1, .limit = SV_MAX_JSON_BYTES, .label = url};
    senvec_status status = ask_repeatedly(http, &t, url, QUESTION_ATTEMPTS, 1, err);
    if (status == SENVEC_OK && !grow_body(&t, 0))
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: no memory", url);
    if (status != SENVEC_OK) {
        free(t.body);
        return status;
    }
    t.body[t.received] = '\0';
    *body = t.body;
    *length = (size_t)t.received;
    return SENVEC_OK;
}

senvec_status sv_http_download(sv_http *http, const char *url, const char *path, uint64_t size, const char *label,
                               const sv_hub_options *options, senvec_error *err) {
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    struct stat facts;
    if (descriptor < 0 || fstat(descriptor, &facts) != 0) {
        senvec_status status = sv_fail(err, SENVEC_IO, 0, "%s: cannot be written: %s", path, strerror(errno));
        if (descriptor >= 0)
            close(descriptor);
        return status;
    }
    transfer t = {
        .descriptor = descriptor, .limit = size, .received = (uint64_t)facts.st_size, .label = label, .options = options};
    senvec_status status = SENVEC_OK;
    if (t.received > size) {
        t.received = 0;
        if (ftruncate(descriptor, 0) != 0)
            status = sv_fail(err, SENVEC_IO, 0, "%s: cannot be cut: %s", path, strerror(errno));
    }
    if (status == SENVEC_OK && (t.received < size || size == 0))
        status = ask_repeatedly(http, &t, url, FILE_ATTEMPTS, 2, err);
    if (status == SENVEC_OK && fsync(descriptor) != 0)
        status = sv_fail(err, SENVEC_IO, 0, "%s: writing failed: %s", path, strerror(errno));
    close(descriptor);
    return status;
}
