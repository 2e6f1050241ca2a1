/* A headless Chromium that shows one page: prints it, takes pictures of it, and answers what its scripts say. */
#ifndef SV_REPORT_BROWSER_H
#define SV_REPORT_BROWSER_H

#include <jansson.h>
#include <stdbool.h>

#include "common/status.h"

typedef struct sv_browser sv_browser;

typedef struct sv_viewport {
    int width, height; /* CSS pixels */
    double scale;      /* device pixels for each */
    bool dark;         /* what prefers-color-scheme says */
} sv_viewport;

/* In CSS pixels, from the page's top left corner. */
typedef struct sv_page_area {
    double x, y, width, height;
} sv_page_area;

/* Starts the browser: $SENVEC_CHROMIUM, else chromium, chromium-browser or google-chrome of $PATH, without a network. Errors:
 * NOT_FOUND (there is none), SYSTEM (it doesn't start, doesn't answer), OUT_OF_MEMORY. */
senvec_status sv_browser_open(sv_browser **out, senvec_error *err);
/* Ends it and removes its files. NULL is accepted. */
void sv_browser_close(sv_browser *browser);

/* The functions below fail with SYSTEM when the browser dies, hangs or refuses, and with IO when a file can't be written. */
senvec_status sv_browser_set_viewport(sv_browser *browser, const sv_viewport *viewport, senvec_error *err);
/* Shows the file at the absolute path `path` and waits until it is loaded. */
senvec_status sv_browser_load(sv_browser *browser, const char *path, senvec_error *err);
/* The value of a JavaScript expression; of a promise, what it comes to. The caller owns *out. */
senvec_status sv_browser_evaluate(sv_browser *browser, const char *expression, json_t **out, senvec_error *err);
/* A PNG of a part of the page. */
senvec_status sv_browser_screenshot(sv_browser *browser, const sv_page_area *area, const char *path, senvec_error *err);
/* A PDF of the page on A4. */
senvec_status sv_browser_print(sv_browser *browser, const char *path, senvec_error *err);

#endif
