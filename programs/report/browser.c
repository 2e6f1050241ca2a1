/* Chromium is driven by its DevTools protocol over two pipes (--remote-debugging-pipe): it reads commands from descriptor 3 and
 * writes replies and events to 4, each a JSON text that ends in a NUL. So nothing listens on a port, and when this program ends
 * the pipe closes and Chromium goes too. Commands: https://chromedevtools.github.io/devtools-protocol/ */
#include "report/browser.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/limits.h"
#include "io/base64.h"
#include "system/process.h"
#include "system/temporary.h"

#define REPLY_SECONDS 120.0 /* printing takes seconds on a small, busy machine */
#define QUIT_SECONDS 3.0

struct sv_browser {
    pid_t process; /* 0: has ended */
    int commands, replies;
    char profile[SV_MAX_PATH]; /* its folder; "" before */
    char session[64];          /* of the page; "" before */
    json_int_t last_id;
    bool loaded; /* the load event came */
    char *buffer;
    size_t used, capacity;
};

/* ------------------------------------------------------------------ process */

static senvec_status find_browser(char out[SV_MAX_PATH], senvec_error *err) {
    static const char *const names[] = {"chromium", "chromium-browser", "google-chrome"};
    const char *given = getenv("SENVEC_CHROMIUM");
    if (given && given[0]) {
        if (sv_process_find(given, out))
            return SENVEC_OK;
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "SENVEC_CHROMIUM: %s is no program", given);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (sv_process_find(names[i], out))
            return SENVEC_OK;
    return sv_fail(err, SENVEC_NOT_FOUND, 0, "no Chromium here; install the package chromium, or set SENVEC_CHROMIUM");
}

static senvec_status spawn(sv_browser *browser, const char *program, int commands, int replies, senvec_error *err) {
    char profile[SV_MAX_PATH + 20];
    snprintf(profile, sizeof profile, "--user-data-dir=%s", browser->profile);
    const char *arguments[] = {program,
                               "--headless=new",
                               "--remote-debugging-pipe",
                               profile,
                               "--disable-gpu",
                               "--hide-scrollbars",
                               "--force-color-profile=srgb",
                               "--no-first-run",
                               "--no-default-browser-check",
                               "--disable-extensions",
                               "--disable-background-networking",
                               "--disable-component-update",
                               "--disable-sync",
                               "--disable-dev-shm-usage",
                               "--host-resolver-rules=MAP * ~NOTFOUND", /* whatever it is, it isn't for a network */
                               geteuid() == 0 ? "--no-sandbox" : NULL,  /* the sandbox refuses root */
                               NULL};
    /* 3 and 4 are what --remote-debugging-pipe reads and writes. */
    const sv_process_options options = {.arguments = arguments,
                                        .descriptors = (int[]){-1, -1, -1, commands, replies},
                                        .descriptor_count = 5,
                                        .own_group = true};
    return sv_process_start(&options, &browser->process, err);
}

void sv_browser_close(sv_browser *browser) {
    if (!browser)
        return;
    if (browser->commands >= 0)
        close(browser->commands);
    if (browser->replies >= 0)
        close(browser->replies);
    int ended;
    if (browser->process > 0 && !sv_process_wait_for(browser->process, QUIT_SECONDS, &ended))
        sv_process_kill(browser->process);
    if (browser->profile[0])
        sv_remove_tree(browser->profile, NULL);
    free(browser->buffer);
    free(browser);
}

/* ----------------------------------------------------------------- messages */

static senvec_status send_text(sv_browser *browser, const char *text, senvec_error *err) {
    size_t length = strlen(text) + 1; /* with its NUL */
    while (length) {
        ssize_t sent = write(browser->commands, text, length);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return sv_fail(err, SENVEC_SYSTEM, 0, "Chromium has ended; does it start by itself with --headless?");
        text += sent;
        length -= (size_t)sent;
    }
    return SENVEC_OK;
}

static senvec_status grow(sv_browser *browser, senvec_error *err) {
    size_t capacity = browser->capacity ? 2 * browser->capacity : 65536;
    char *larger = capacity <= SV_MAX_WORKER_REPLY ? realloc(browser->buffer, capacity) : NULL;
    if (!larger)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for what Chromium says");
    browser->buffer = larger;
    browser->capacity = capacity;
    return SENVEC_OK;
}

/* The next message, whatever it is. */
static senvec_status receive(sv_browser *browser, uint64_t deadline, json_t **out, senvec_error *err) {
    char *end;
    size_t searched = 0;
    while (!(end = browser->used > searched ? memchr(browser->buffer + searched, '\0', browser->used - searched) : NULL)) {
        searched = browser->used;
        if (browser->used == browser->capacity)
            SENVEC_TRY(grow(browser, err));
        uint64_t now = sv_clock_ns();
        struct pollfd wait = {.fd = browser->replies, .events = POLLIN};
        int ready = poll(&wait, 1, now < deadline ? (int)((deadline - now) / 1000000) + 1 : 0);
        if (ready == 0)
            return sv_fail(err, SENVEC_SYSTEM, 0, "Chromium doesn't answer");
        ssize_t got =
            ready > 0 ? read(browser->replies, browser->buffer + browser->used, browser->capacity - browser->used) : -1;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return sv_fail(err, SENVEC_SYSTEM, 0, "Chromium has ended; does it start by itself with --headless?");
        browser->used += (size_t)got;
    }
    json_error_t where;
    *out = json_loads(browser->buffer, 0, &where);
    size_t taken = (size_t)(end - browser->buffer) + 1;
    memmove(browser->buffer, browser->buffer + taken, browser->used - taken);
    browser->used -= taken;
    return *out ? SENVEC_OK : sv_fail(err, SENVEC_SYSTEM, 0, "Chromium says what isn't JSON: %s", where.text);
}

static void notice(sv_browser *browser, const json_t *message) {
    const char *method = json_string_value(json_object_get(message, "method"));
    if (method && strcmp(method, "Page.loadEventFired") == 0)
        browser->loaded = true;
}

static uint64_t reply_deadline(void) {
    return sv_clock_ns() + (uint64_t)(REPLY_SECONDS * SV_NS_PER_S);
}

/* Sends a command and waits for its result, which the caller owns. `parameters` is taken. */
static senvec_status call(sv_browser *browser, const char *method, json_t *parameters, json_t **out, senvec_error *err) {
    json_int_t id = ++browser->last_id;
    json_t *command = json_pack("{s:I, s:s, s:o}", "id", id, "method", method, "params", parameters);
    if (command && browser->session[0])
        json_object_set_new(command, "sessionId", json_string(browser->session));
    char *text = command ? json_dumps(command, JSON_COMPACT) : NULL;
    json_decref(command);
    if (!text)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a command to Chromium");
    senvec_status status = send_text(browser, text, err);
    free(text);
    uint64_t deadline = reply_deadline();
    while (status == SENVEC_OK) {
        json_t *message;
        SENVEC_TRY(receive(browser, deadline, &message, err));
        notice(browser, message);
        if (json_integer_value(json_object_get(message, "id")) != id) {
            json_decref(message);
            continue;
        }
        json_t *result = json_object_get(message, "result");
        const char *refusal = json_string_value(json_object_get(json_object_get(message, "error"), "message"));
        if (result)
            *out = json_incref(result);
        else
            status = sv_fail(err, SENVEC_SYSTEM, 0, "Chromium refuses %s: %s", method, refusal ? refusal : "no reason given");
        json_decref(message);
        break;
    }
    return status;
}

/* A command whose result says nothing. */
static senvec_status tell(sv_browser *browser, const char *method, json_t *parameters, senvec_error *err) {
    json_t *result;
    SENVEC_TRY(call(browser, method, parameters, &result, err));
    json_decref(result);
    return SENVEC_OK;
}

/* --------------------------------------------------------------------- page */

static senvec_status open_page(sv_browser *browser, senvec_error *err) {
    json_t *target, *session;
    SENVEC_TRY(call(browser, "Target.createTarget", json_pack("{s:s}", "url", "about:blank"), &target, err));
    senvec_status status =
        call(browser, "Target.attachToTarget",
             json_pack("{s:O, s:b}", "targetId", json_object_get(target, "targetId"), "flatten", 1), &session, err);
    json_decref(target);
    if (status != SENVEC_OK)
        return status;
    const char *id = json_string_value(json_object_get(session, "sessionId"));
    snprintf(browser->session, sizeof browser->session, "%s", id ? id : "");
    json_decref(session);
    return tell(browser, "Page.enable", json_object(), err);
}

senvec_status sv_browser_open(sv_browser **out, senvec_error *err) {
    char program[SV_MAX_PATH];
    SENVEC_TRY(find_browser(program, err));
    int commands[2] = {-1, -1}, replies[2] = {-1, -1};
    sv_browser *browser = calloc(1, sizeof *browser);
    if (!browser)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for a browser");
    browser->commands = browser->replies = -1;
    senvec_status status = sv_temporary_folder("browser", browser->profile, err);
    if (status == SENVEC_OK && (pipe2(commands, O_CLOEXEC) != 0 || pipe2(replies, O_CLOEXEC) != 0))
        status = sv_fail(err, SENVEC_SYSTEM, 0, "no pipe to Chromium: %s", strerror(errno));
    if (status == SENVEC_OK)
        status = spawn(browser, program, commands[0], replies[1], err);
    browser->commands = commands[1];
    browser->replies = replies[0];
    if (commands[0] >= 0)
        close(commands[0]);
    if (replies[1] >= 0)
        close(replies[1]);
    if (status == SENVEC_OK)
        status = open_page(browser, err);
    if (status == SENVEC_OK)
        *out = browser;
    else
        sv_browser_close(browser);
    return status;
}

senvec_status sv_browser_set_viewport(sv_browser *browser, const sv_viewport *viewport, senvec_error *err) {
    SENVEC_TRY(tell(browser, "Emulation.setDeviceMetricsOverride",
                    json_pack("{s:i, s:i, s:f, s:b}", "width", viewport->width, "height", viewport->height, "deviceScaleFactor",
                              viewport->scale, "mobile", 0),
                    err));
    return tell(
        browser, "Emulation.setEmulatedMedia",
        json_pack("{s:[{s:s, s:s}]}", "features", "name", "prefers-color-scheme", "value", viewport->dark ? "dark" : "light"),
        err);
}

/* "file://" and the path, with everything but letters, digits and "/-._" escaped. */
static void file_address(const char *path, char out[3 * SV_MAX_PATH + 8]) {
    size_t used = (size_t)snprintf(out, 8, "file://");
    for (const unsigned char *p = (const unsigned char *)path; *p && p < (const unsigned char *)path + SV_MAX_PATH; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("/-._", *p);
        used += (size_t)snprintf(out + used, 4, plain ? "%c" : "%%%02X", *p);
    }
}

senvec_status sv_browser_load(sv_browser *browser, const char *path, senvec_error *err) {
    char address[3 * SV_MAX_PATH + 8];
    file_address(path, address);
    browser->loaded = false;
    json_t *result;
    SENVEC_TRY(call(browser, "Page.navigate", json_pack("{s:s}", "url", address), &result, err));
    const char *failure = json_string_value(json_object_get(result, "errorText"));
    senvec_status status = failure ? sv_fail(err, SENVEC_SYSTEM, 0, "Chromium can't open %s: %s", path, failure) : SENVEC_OK;
    json_decref(result);
    uint64_t deadline = reply_deadline();
    while (status == SENVEC_OK && !browser->loaded) {
        json_t *message;
        SENVEC_TRY(receive(browser, deadline, &message, err));
        notice(browser, message);
        json_decref(message);
    }
    return status;
}

senvec_status sv_browser_evaluate(sv_browser *browser, const char *expression, json_t **out, senvec_error *err) {
    json_t *result;
    SENVEC_TRY(call(browser, "Runtime.evaluate",
                    json_pack("{s:s, s:b, s:b}", "expression", expression, "awaitPromise", 1, "returnByValue", 1), &result,
                    err));
    const json_t *exception = json_object_get(json_object_get(result, "exceptionDetails"), "exception");
    const char *said = json_string_value(json_object_get(exception, "description"));
    senvec_status status = SENVEC_OK;
    if (json_object_get(result, "exceptionDetails")) {
        status = sv_fail(err, SENVEC_SYSTEM, 0, "the page fails: %s", said ? said : "an exception");
    } else {
        json_t *value = json_object_get(json_object_get(result, "result"), "value");
        *out = value ? json_incref(value) : json_null();
    }
    json_decref(result);
    return status;
}

/* Writes result.data, which is base64, to a file. */
static senvec_status save(const json_t *result, const char *path, senvec_error *err) {
    const json_t *data = json_object_get(result, "data");
    const char *text = json_string_value(data);
    size_t length = json_string_length(data);
    unsigned char *bytes = malloc(length / 4 * 3 + 1);
    ssize_t size = text && bytes ? sv_base64_decode(text, length, bytes) : -1;
    sv_atomic_file file = {0};
    senvec_status status = size > 0 ? sv_atomic_file_open(&file, path, err)
                                    : sv_fail(err, SENVEC_SYSTEM, 0, "Chromium's %s can't be decoded", path);
    if (status == SENVEC_OK) {
        fwrite(bytes, 1, (size_t)size, file.stream);
        status = sv_atomic_file_commit(&file, err);
    }
    free(bytes);
    return status;
}

senvec_status sv_browser_screenshot(sv_browser *browser, const sv_page_area *area, const char *path, senvec_error *err) {
    json_t *result;
    SENVEC_TRY(call(browser, "Page.captureScreenshot",
                    json_pack("{s:s, s:b, s:{s:f, s:f, s:f, s:f, s:f}}", "format", "png", "captureBeyondViewport", 1, "clip",
                              "x", area->x, "y", area->y, "width", area->width, "height", area->height, "scale", 1.0),
                    &result, err));
    senvec_status status = save(result, path, err);
    json_decref(result);
    return status;
}

senvec_status sv_browser_print(sv_browser *browser, const char *path, senvec_error *err) {
    json_t *result;
    /* The page's own style sheet sets size and margins. */
    SENVEC_TRY(
        call(browser, "Page.printToPDF", json_pack("{s:b, s:b}", "printBackground", 1, "preferCSSPageSize", 1), &result, err));
    senvec_status status = save(result, path, err);
    json_decref(result);
    return status;
}
