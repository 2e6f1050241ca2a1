/* senvec study report: the report of one study, or several side by side. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/write_report.h"

static void show_progress(void *context, double fraction, const char *what) {
    sv_progress_update(context, fraction, "%s", what);
}

int sv_cli_write_report(sv_report_options *options, bool quiet) {
    sv_progress progress;
    sv_report_gaps gaps;
    senvec_error err;
    options->progress = show_progress;
    options->progress_context = &progress;
    sv_progress_begin(&progress, "report", quiet);
    senvec_status status = sv_report_write(options, &gaps, &err);
    sv_progress_end(&progress);
    if (status != SENVEC_OK)
        return sv_cli_fail(&err);
    if (gaps.plots[0])
        sv_cli_say("report.html has tables in place of plots: %s", gaps.plots);
    if (gaps.pdf[0])
        sv_cli_say("no report.pdf and no evidence/*.png: %s", gaps.pdf);
    if (gaps.notebook[0])
        sv_cli_say("no notebook: %s", gaps.notebook);
    if (!quiet)
        sv_cli_say("%s/report.html: open it in a browser", options->out);
    return SV_EXIT_DONE;
}

int sv_cmd_report(int argc, char **argv) {
    sv_report_options report = {0};
    bool quiet = false;
    const sv_option options[] = {
        SV_OPTION_TEXT('o', "out", "DIR", &report.out,
                       "folder of the report; else the study's own, for several\n\"comparison\""),
        SV_OPTION_FLAG(0, "html-only", &report.html_only, "report.html alone: no PDF, no pictures, no notebook"),
        SV_OPTION_TEXT(0, "plotly", "FILE", &report.plotly,
                       "plotly.min.js for the plots; else the one of Python's\npackage plotly"),
        SV_OPTION_TEXT(0, "python", "FILE", &report.python,
                       "interpreter for the notebook; else $SENVEC_PYTHON, else\n.venv/bin/python beside the program"),
        SV_OPTION_FLAG('q', "quiet", &quiet, "no progress, no summary"),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "study report [OPTION]... [DIR]...",
        .about = "Writes the report of the study in the folder DIR (default results): report.html, which needs no\n"
                 "network, report.pdf, evidence/*.png and study.ipynb. Several folders are set side by side\n"
                 "(comparison.ipynb).",
        .options = options,
        .notes = "PDF and pictures are printed by Chromium ($SENVEC_CHROMIUM, or chromium of $PATH).",
        .most_operands = SV_MAX_REPORT_STUDIES,
    };
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    static const char *const only[] = {"results"};
    report.directories = operands.count ? (const char *const *)operands.items : only;
    report.count = operands.count ? operands.count : 1;
    if (!report.out)
        report.out = report.count > 1 ? "comparison" : report.directories[0];
    return sv_cli_write_report(&report, quiet);
}
