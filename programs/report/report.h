/* The report of finished studies: a page that needs nothing but a browser, its PDF and pictures, and a notebook.
 *
 * report.html holds the studies' data, the style, the script and plotly.js; what is shown is decided by the page (report/) from
 * the data alone. Where plotly.js isn't there, the page shows tables in place of plots and says so. */
#ifndef SV_REPORT_REPORT_H
#define SV_REPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/limits.h"
#include "common/status.h"

typedef struct sv_report_options {
    const char *const *directories; /* [count], each with a study.json */
    size_t count;                   /* 1: the report of a study; more: side by side, the first one being the reference */
    const char *out;                /* folder of the report; made if it isn't there */
    const char *python;             /* as in study.h */
    const char *plotly;             /* plotly.min.js; NULL: the one of Python's package plotly */
    bool html_only;
    void (*progress)(void *context, double fraction, const char *what); /* NULL: silent */
    void *progress_context;
} sv_report_options;

/* Why a part of the report is not there; "" where it is. The page itself always is. */
typedef struct sv_report_gaps {
    char plots[1000];    /* plotly.js */
    char pdf[1000];      /* report.pdf and evidence/, by Chromium */
    char notebook[1000]; /* study.ipynb or comparison.ipynb, by Python */
} sv_report_gaps;

/* Writes report.html, report.pdf, evidence/NAME.png and NAME.svg, and study.ipynb, for several studies comparison.ipynb; each
 * whole or not at all. Errors: NOT_FOUND (a folder without study.json), FORMAT, UNSUPPORTED (another schema version), IO,
 * OUT_OF_MEMORY. */
senvec_status sv_report_write(const sv_report_options *options, sv_report_gaps *gaps, senvec_error *err);

#endif
