/* The report: data into the page, the page through Chromium, the notebook through Python. */
#include "report/report.h"

#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "io/places.h"
#include "report/browser.h"
#include "report/notebook.h"
#include "results/results.h"

/* report/, compiled in. */
extern const char sv_page_html[], sv_page_css[];
extern const char sv_page_data_js[], sv_page_first_js[], sv_page_story_js[], sv_page_js[], sv_page_method_js[],
    sv_page_plots_js[], sv_page_batching_js[], sv_page_labels_js[], sv_page_services_js[], sv_page_compare_js[],
    sv_page_main_js[];

static void say_progress(const sv_report_options *options, double fraction, const char *what) {
    if (options->progress)
        options->progress(options->progress_context, fraction, what);
}

/* --------------------------------------------------------------------- data */

/* study.json as it is, so that the page also sees what later versions add. */
static senvec_status read_study(const char *directory, json_t **out, senvec_error *err) {
    char path[SV_MAX_PATH];
    json_error_t where;
    SENVEC_TRY(sv_path_join(directory, "study.json", path, err));
    if (!sv_path_is_file(path))
        return sv_fail(err, SENVEC_NOT_FOUND, 0, "%s: not there; run \"senvec study\" first", path);
    json_t *study = json_load_file(path, 0, &where);
    if (!study)
        return sv_fail(err, SENVEC_FORMAT, (uint64_t)where.position, "%s: line %d: %s; run the study again", path, where.line,
                       where.text);
    json_int_t version = json_integer_value(json_object_get(study, "schema_version"));
    senvec_status status = SENVEC_OK;
    if (version != SV_STUDY_SCHEMA_VERSION)
        status = sv_fail(err, SENVEC_UNSUPPORTED, 0, "%s: schema version %lld, this program reads %d; run the study again",
                         path, (long long)version, SV_STUDY_SCHEMA_VERSION);
    else if (!json_is_array(json_object_get(study, "configurations")))
        status = sv_fail(err, SENVEC_FORMAT, 0, "%s: not a study; run the study again", path);
    if (status == SENVEC_OK)
        *out = study;
    else
        json_decref(study);
    return status;
}

static senvec_status collect(const sv_report_options *options, json_t *studies, senvec_error *err) {
    for (size_t i = 0; i < options->count; i++) {
        json_t *study = NULL;
        SENVEC_TRY(read_study(options->directories[i], &study, err));
        json_t *entry = json_pack("{s:s, s:o}", "directory", options->directories[i], "study", study);
        if (json_array_append_new(studies, entry) != 0)
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the report");
    }
    return SENVEC_OK;
}

/* --------------------------------------------------------------------- page */

/* plotly.min.js of the Python package, in the environment that `python` belongs to; "" if it isn't there. */
static void find_plotly(const char *python, char out[SV_MAX_PATH]) {
    char prefix[SV_MAX_PATH], pattern[2 * SV_MAX_PATH];
    glob_t found = {0};
    snprintf(prefix, sizeof prefix, "%s", python);
    out[0] = '\0';
    for (int level = 0; level < 2; level++) { /* bin/python */
        char *slash = strrchr(prefix, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
    snprintf(pattern, sizeof pattern, "%s/lib/python3*/site-packages/plotly/package_data/plotly.min.js", prefix);
    if (glob(pattern, 0, NULL, &found) == 0)
        snprintf(out, SV_MAX_PATH, "%s", found.gl_pathv[0]);
    globfree(&found);
}

/* JSON inside <script>: no '<' may open a tag. It occurs in strings only, where an escape means the same. */
static senvec_status put_data(const json_t *data, FILE *file, senvec_error *err) {
    char *text = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (!text)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the report");
    for (const char *at = text; *at;) {
        size_t plain = strcspn(at, "<");
        fwrite(at, 1, plain, file);
        at += plain;
        if (*at == '<') {
            fputs("\\u003c", file);
            at++;
        }
    }
    free(text);
    return SENVEC_OK;
}

/* What stands in for "{{name}}" in page.html. */
static senvec_status put_part(const char *name, size_t length, const json_t *data, const sv_file_map *plotly, FILE *file,
                              senvec_error *err) {
    const char *const scripts[] = {sv_page_data_js,     sv_page_first_js,   sv_page_story_js,    sv_page_js,
                                   sv_page_method_js,   sv_page_plots_js,   sv_page_batching_js, sv_page_labels_js,
                                   sv_page_services_js, sv_page_compare_js, sv_page_main_js};
    if (strncmp(name, "style", length) == 0)
        fputs(sv_page_css, file);
    else if (strncmp(name, "plotly", length) == 0)
        fwrite(plotly->data, 1, plotly->size, file);
    else if (strncmp(name, "data", length) == 0)
        return put_data(data, file, err);
    else if (strncmp(name, "script", length) == 0)
        for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++)
            fputs(scripts[i], file);
    return SENVEC_OK;
}

static senvec_status write_page(const char *path, const json_t *data, const sv_file_map *plotly, senvec_error *err) {
    sv_atomic_file file = {0};
    SENVEC_TRY(sv_atomic_file_open(&file, path, err));
    senvec_status status = SENVEC_OK;
    const char *at = sv_page_html;
    for (const char *mark; status == SENVEC_OK && (mark = strstr(at, "{{"));) {
        const char *end = strstr(mark, "}}");
        fwrite(at, 1, (size_t)(mark - at), file.stream);
        status = put_part(mark + 2, (size_t)(end - mark - 2), data, plotly, file.stream, err);
        at = end + 2;
    }
    fputs(at, file.stream);
    if (status == SENVEC_OK)
        status = sv_atomic_file_commit(&file, err);
    sv_atomic_file_abort(&file);
    return status;
}

static senvec_status make_page(const sv_report_options *options, const char *python, const char *path, sv_report_gaps *gaps,
                               senvec_error *err) {
    char found[SV_MAX_PATH];
    sv_file_map plotly = {0};
    const char *script = options->plotly;
    if (!script) {
        find_plotly(python, found);
        script = found;
    }
    if (!script[0])
        snprintf(gaps->plots, sizeof gaps->plots,
                 "plotly.js isn't here: it comes with the Python package plotly in .venv, which "
                 "./run study installs");
    else
        SENVEC_TRY(sv_file_map_open(script, &plotly, err));
    json_t *studies = json_array();
    json_t *data =
        json_pack("{s:o, s:s, s:s}", "studies", studies, "senvec_version", senvec_version(), "no_plots", gaps->plots);
    senvec_status status =
        data ? collect(options, studies, err) : sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the report");
    if (status == SENVEC_OK)
        status = write_page(path, data, &plotly, err);
    json_decref(data);
    sv_file_map_close(&plotly);
    return status;
}

/* ------------------------------------------------------------- PDF, pictures */

/* The whole page as a desktop and a phone show it, light and dark; then each figure. */
static const struct {
    const char *name;
    sv_viewport viewport;
} views[] = {
    {"page", {1200, 900, 1, false}},
    {"page-dark", {1200, 900, 1, true}},
    {"page-phone", {360, 780, 2, false}},
};

static const sv_viewport figure_viewport = {1000, 900, 2, false};
static const sv_viewport print_viewport = {700, 990, 1, false}; /* the width between the margins of A4 */

/* Loads the page anew, as plots are sized when they are drawn, and waits until they are; `open`: with all that is folded. */
static senvec_status show(sv_browser *browser, const char *page, const sv_viewport *viewport, bool open, senvec_error *err) {
    json_t *ready;
    SENVEC_TRY(sv_browser_set_viewport(browser, viewport, err));
    SENVEC_TRY(sv_browser_load(browser, page, err));
    SENVEC_TRY(sv_browser_evaluate(browser, open ? "report.ready.then(report.unfold)" : "report.ready", &ready, err));
    json_decref(ready);
    return SENVEC_OK;
}

/* A picture of each of the page's areas; `name` replaces theirs if there is one. */
static senvec_status take_pictures(sv_browser *browser, const char *areas, const char *directory, const char *name,
                                   senvec_error *err) {
    json_t *list, *area;
    size_t i;
    SENVEC_TRY(sv_browser_evaluate(browser, areas, &list, err));
    senvec_status status = SENVEC_OK;
    json_array_foreach(list, i, area) {
        char file[64], path[SV_MAX_PATH];
        const char *own = json_string_value(json_object_get(area, "name"));
        const sv_page_area part = {.x = json_number_value(json_object_get(area, "x")),
                                   .y = json_number_value(json_object_get(area, "y")),
                                   .width = json_number_value(json_object_get(area, "width")),
                                   .height = json_number_value(json_object_get(area, "height"))};
        snprintf(file, sizeof file, "%s.png", name ? name : own ? own : "figure");
        status = sv_path_join(directory, file, path, err);
        if (status == SENVEC_OK)
            status = sv_browser_screenshot(browser, &part, path, err);
        if (status != SENVEC_OK)
            break;
    }
    json_decref(list);
    return status;
}

/* Each figure that is drawn as SVG. */
static senvec_status write_svgs(sv_browser *browser, const char *directory, senvec_error *err) {
    json_t *list, *area;
    size_t i;
    SENVEC_TRY(sv_browser_evaluate(browser, "report.figures()", &list, err));
    senvec_status status = SENVEC_OK;
    json_array_foreach(list, i, area) {
        char file[64], path[SV_MAX_PATH], expression[128];
        json_t *picture = NULL;
        sv_atomic_file svg = {0};
        const char *name = json_string_value(json_object_get(area, "name"));
        snprintf(file, sizeof file, "%s.svg", name ? name : "figure");
        snprintf(expression, sizeof expression, "report.picture(\"%s\")", name ? name : "");
        status = sv_browser_evaluate(browser, expression, &picture, err);
        const char *text = json_string_value(picture);
        if (status == SENVEC_OK && text && text[0])
            status = sv_path_join(directory, file, path, err);
        if (status == SENVEC_OK && text && text[0])
            status = sv_atomic_file_open(&svg, path, err);
        if (status == SENVEC_OK && text && text[0]) {
            fputs(text, svg.stream);
            status = sv_atomic_file_commit(&svg, err);
        }
        json_decref(picture);
        if (status != SENVEC_OK)
            break;
    }
    json_decref(list);
    return status;
}

static senvec_status through_browser(const sv_report_options *options, sv_browser *browser, const char *page,
                                     senvec_error *err) {
    char pdf[SV_MAX_PATH], evidence[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(options->out, "report.pdf", pdf, err));
    SENVEC_TRY(sv_path_join(options->out, "evidence", evidence, err));
    SENVEC_TRY(sv_make_directories(evidence, err));
    say_progress(options, 0.4, "printing report.pdf");
    SENVEC_TRY(show(browser, page, &print_viewport, true, err));
    SENVEC_TRY(sv_browser_print(browser, pdf, err));
    say_progress(options, 0.6, "taking pictures");
    json_t *named;
    SENVEC_TRY(show(browser, page, &figure_viewport, true, err));
    SENVEC_TRY(sv_browser_evaluate(browser, "report.name()", &named, err));
    json_decref(named);
    SENVEC_TRY(write_svgs(browser, evidence, err));
    SENVEC_TRY(take_pictures(browser, "report.figures()", evidence, NULL, err));
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        SENVEC_TRY(show(browser, page, &views[i].viewport, false, err));
        SENVEC_TRY(take_pictures(browser, "report.page()", evidence, views[i].name, err));
    }
    return SENVEC_OK;
}

/* An absolute path, as a browser wants it. */
static senvec_status print_page(const sv_report_options *options, const char *path, senvec_error *err) {
    sv_browser *browser;
    char *page = realpath(path, NULL);
    if (!page)
        return sv_fail(err, SENVEC_IO, 0, "%s: isn't there any more", path);
    say_progress(options, 0.2, "starting Chromium");
    senvec_status status = sv_browser_open(&browser, err);
    if (status == SENVEC_OK) {
        status = through_browser(options, browser, page, err);
        sv_browser_close(browser);
    }
    free(page);
    return status;
}

/* A part that can't be made leaves a gap; what failed for another reason is an error. */
static senvec_status fill_gap(senvec_status status, const senvec_error *failure, char *gap, size_t size, senvec_error *err) {
    if (status == SENVEC_NOT_FOUND || status == SENVEC_SYSTEM) {
        snprintf(gap, size, "%s", failure->message);
        return SENVEC_OK;
    }
    if (status != SENVEC_OK && err)
        *err = *failure;
    return status;
}

senvec_status sv_report_write(const sv_report_options *options, sv_report_gaps *gaps, senvec_error *err) {
    char page[SV_MAX_PATH], python[SV_MAX_PATH];
    senvec_error failure;
    *gaps = (sv_report_gaps){0};
    sv_place_python(options->python, python);
    SENVEC_TRY(sv_make_directories(options->out, err));
    SENVEC_TRY(sv_path_join(options->out, "report.html", page, err));
    say_progress(options, 0, "writing report.html");
    SENVEC_TRY(make_page(options, python, page, gaps, err));
    if (options->html_only)
        return SENVEC_OK;
    SENVEC_TRY(fill_gap(print_page(options, page, &failure), &failure, gaps->pdf, sizeof gaps->pdf, err));
    const char *name = options->count > 1 ? "comparison.ipynb" : "study.ipynb";
    char notebook[SV_MAX_PATH];
    say_progress(options, 0.9, "running the notebook");
    SENVEC_TRY(sv_path_join(options->out, name, notebook, err));
    return fill_gap(sv_notebook_write(python, options->directories, options->count, notebook, &failure), &failure,
                    gaps->notebook, sizeof gaps->notebook, err);
}
